"""What a child process says while it works: one JSON object a line."""

import traceback
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.generation.engines.estimate import TableShape
from services.generation.engines.protocol import Progress
from services.generation.training.spec import TrainingSummary


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class Started(_Event):
    """The child runs, at the head of a process group of its own."""

    kind: Literal["started"] = "started"
    pid: int


class Read(_Event):
    """The table was read: what it is like."""

    kind: Literal["read"] = "read"
    shape: TableShape


class Progressed(_Event):
    """How far the work is."""

    kind: Literal["progressed"] = "progressed"
    progress: Progress


class Failed(_Event):
    """The work came to nothing, for a reason that a user can act on."""

    kind: Literal["failed"] = "failed"
    reason: str
    message: str
    metadata: dict[str, str]


class ScoringBroke(_Event):
    """Scoring on the way came to nothing by an error nobody foresaw; the training goes on without."""

    kind: Literal["scoring_broke"] = "scoring_broke"
    error: str
    trace: tuple[str, ...]


class Broke(_Event):
    """An error nobody foresaw: its type and where it was, without any value."""

    kind: Literal["broke"] = "broke"
    error: str
    trace: tuple[str, ...]


class Trained(_Event):
    """A training ended well."""

    kind: Literal["trained"] = "trained"
    summary: TrainingSummary


class Sampled(_Event):
    """A sampling ended well; every row was sent."""

    kind: Literal["sampled"] = "sampled"


class Evaluated(_Event):
    """A table was judged; the report is in its file."""

    kind: Literal["evaluated"] = "evaluated"


class Exited(_Event):
    """The child is gone, with this exit code: negative for the signal that ended it."""

    kind: Literal["exited"] = "exited"
    code: int


Event = Annotated[
    Started | Read | Progressed | ScoringBroke | Failed | Broke | Trained | Sampled | Evaluated | Exited,
    Field(discriminator="kind"),
]
EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def trace_of(error: BaseException) -> tuple[str, ...]:
    """Where an error and its causes were raised, without their messages, which may quote the table."""
    return tuple(_trace(error))


def _trace(error: BaseException) -> Iterator[str]:
    current: BaseException | None = error
    while current is not None:
        yield type(current).__qualname__
        for frame in traceback.extract_tb(current.__traceback__):
            yield f"{frame.filename}:{frame.lineno} {frame.name}"
        current = current.__cause__ or current.__context__
