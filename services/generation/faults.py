"""What a child process reports as gone wrong, as errors of this service."""

from collections.abc import Mapping

from grpc import StatusCode

from servicekit.errors import ServiceError, StorageFull
from services.generation.engines.protocol import Failure

# Whatever isn't named is our own fault.
_CODES: Mapping[str, StatusCode] = {
    "TABLE_NOT_LEARNABLE": StatusCode.FAILED_PRECONDITION,
    "INVALID_CONDITIONS": StatusCode.INVALID_ARGUMENT,
    "CONDITION_TOO_RARE": StatusCode.FAILED_PRECONDITION,
    "TABLE_NOT_COMPARABLE": StatusCode.FAILED_PRECONDITION,
    "COLUMN_NOT_COMPARED": StatusCode.FAILED_PRECONDITION,
    "TOO_FEW_ROWS_TO_COMPARE": StatusCode.FAILED_PRECONDITION,
    "HOLDOUT_NOT_UNSEEN": StatusCode.FAILED_PRECONDITION,
    "TRAINING_DIVERGED": StatusCode.FAILED_PRECONDITION,
    "TRAINING_OUT_OF_MEMORY": StatusCode.RESOURCE_EXHAUSTED,
    StorageFull.reason: StorageFull.code,
    "JOB_TIMED_OUT": StatusCode.DEADLINE_EXCEEDED,
}


def code_of(reason: str) -> StatusCode:
    """The gRPC code that goes with a failure's reason."""
    return _CODES.get(reason, StatusCode.INTERNAL)


class ChildFailed(ServiceError):
    """Work in a child process came to nothing; code and reason are those of what went wrong there."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, **failure.metadata)
        self.code = code_of(failure.reason)
        self.reason = failure.reason


class SamplingFailed(ChildFailed):
    """Rows could not be drawn."""


class EvaluationFailed(ChildFailed):
    """A table could not be judged."""
