"""What can go wrong, as exceptions.

Everything this library raises by itself is a `MirageError`; its subclasses say what kind of thing went wrong, its
`code` and `reason` say it to programs, its message, `violations` and `hint` to people.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from mirage.records.dataset import DatasetFields
    from mirage.records.generation import JobFields
    from mirage.records.optimizer import StudyFields


@dataclass(frozen=True)
class Violation:
    """One wrong field of a request."""

    field: str
    """Where it is, such as `model_config.epochs`."""
    description: str
    """What is wrong and what would be right."""


class MirageError(Exception):
    """Something went wrong; subclasses say what kind of thing.

    `message` is a sentence for people; `code` is the name of the gRPC code and `reason` the platform's own name of the
    fault, both for programs; `violations` are the wrong fields, all of them; `metadata` is what the platform added by
    name; `hint` says what to do; `retry_after_s` is set where trying again later helps; `request_id` and `trace_id`
    find the request in the platform's logs and traces.
    """

    default_code: ClassVar[str] = "UNKNOWN"
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        violations: Iterable[Violation] = (),
        metadata: Mapping[str, str] | None = None,
        hint: str = "",
        retry_after_s: float | None = None,
        request_id: str = "",
        trace_id: str = "",
    ) -> None:
        self.message = message
        self.code = code or self.default_code
        self.reason = reason or self.code
        self.violations = tuple(violations)
        self.metadata = dict(metadata or {})
        self.hint = hint or self.default_hint
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.trace_id = trace_id
        super().__init__(message)
        if self.hint:
            self.add_note(self.hint)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {wrong.field}: {wrong.description}" for wrong in self.violations)])


class InvalidRequest(MirageError):
    """The request is wrong, whatever the platform's state; `violations` say where."""

    default_code = "INVALID_ARGUMENT"


class UnusableTable(InvalidRequest):
    """What was given as a table can't be sent as one; found out before anything was sent."""

    default_hint = "Give a DataFrame, a pyarrow Table, a file object or the path of a CSV, JSON, XLSX or Parquet file."


class NotSignedIn(MirageError):
    """Nobody is signed in, the session has ended, or the password is wrong."""

    default_code = "UNAUTHENTICATED"
    default_hint = "Sign in with client.login(email, password), or on the command line with `mirage login`."


class PermissionDenied(MirageError):
    """Whoever is signed in may not do this."""

    default_code = "PERMISSION_DENIED"


class NotFound(MirageError):
    """There is no such thing, or it isn't the caller's."""

    default_code = "NOT_FOUND"


class AlreadyExists(MirageError):
    """There is one already."""

    default_code = "ALREADY_EXISTS"


class NotPossible(MirageError):
    """The request is right, but not in the state that the thing is in."""

    default_code = "FAILED_PRECONDITION"


class LimitExceeded(MirageError):
    """Too many requests, or more than the platform takes; `retry_after_s` is set where waiting helps."""

    default_code = "RESOURCE_EXHAUSTED"


class Unavailable(MirageError):
    """The platform, or a part of it, can't answer now."""

    default_code = "UNAVAILABLE"
    default_hint = "Try again in a moment."


class ConnectionFailed(Unavailable):
    """Nothing that speaks Mirage's protocol answers at the address."""

    default_hint = (
        "Start the platform with `make run`, or give the address of one that runs: Client(url), "
        "`mirage --url URL`, or the environment variable MIRAGE_URL."
    )


class ConnectionLost(Unavailable):
    """The connection broke in the middle and couldn't be taken up again."""


class TimedOut(MirageError):
    """The answer, or what was waited for, didn't come in time."""

    default_code = "DEADLINE_EXCEEDED"


class ServerFault(MirageError):
    """A fault of the platform itself; its logs hold the trace under `request_id`."""

    default_code = "INTERNAL"


class NotSupported(MirageError):
    """This platform is older or newer than the library, or lacks the part that would do it."""

    default_code = "UNIMPLEMENTED"


class DamagedTransfer(MirageError):
    """What arrived isn't what was sent."""

    default_code = "DATA_LOSS"
    default_hint = "Try again."


class DatasetFailed(MirageError):
    """An uploaded file couldn't be read into a table; `dataset` is what became of it."""

    default_code = "FAILED_PRECONDITION"

    def __init__(self, message: str, dataset: "DatasetFields", *, reason: str = "DATASET_FAILED") -> None:
        super().__init__(message, reason=reason)
        self.dataset = dataset


class JobNotSucceeded(MirageError):
    """A job ended without a table; `job` is that job."""

    default_code = "FAILED_PRECONDITION"

    def __init__(self, message: str, job: "JobFields", *, reason: str = "", hint: str = "") -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.job = job


class JobFailed(JobNotSucceeded):
    """A job failed; the message says why."""


class JobCancelled(JobNotSucceeded):
    """A job was cancelled."""


class JobRejected(JobNotSucceeded):
    """An administrator refused a job; the message says why."""


class StudyFailed(MirageError):
    """A study has nothing to show; the message says why, `study` is that study."""

    default_code = "FAILED_PRECONDITION"

    def __init__(self, message: str, study: "StudyFields", *, reason: str = "") -> None:
        super().__init__(message, reason=reason or "STUDY_FAILED")
        self.study = study
