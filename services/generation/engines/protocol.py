"""What an engine is: something that fits a model to a prepared table and draws rows from it.

An engine never sees the user's table. It gets a *learned table*: an Arrow table in which every column is either

- a number: `float64`, finite, nothing missing; or
- a category: `int32` codes 0 … k-1, each of which occurs, nothing missing;

under short ASCII names. `services.generation.tables` makes the learned table (what is missing, dates, integers beyond
2^53, names in any script, identifiers and texts are its concern) and turns rows of it back into rows of the source.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from services.generation.engines.estimate import Estimate, TableShape
    from services.generation.engines.parameters import Parameters


class Failure(Exception):
    """Something that a user can act on: why a table can't be learned or rows can't be drawn.

    `reason` is a stable identifier in capitals, the message a sentence without any cell of the table, and `metadata`
    names what the message speaks of.
    """

    def __init__(self, reason: str, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata


class Cancelled(Exception):
    """The work was called off while it was going on."""


class Stage(StrEnum):
    """What is being done; the order is that of the work."""

    PREPARING = "preparing"
    TRAINING = "training"
    SAMPLING = "sampling"
    EVALUATING = "evaluating"


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    `epoch` of `epochs` are done (both 0 for a model without epochs), with the losses of the latest epoch by name, and
    `scores` by metric if rows were drawn after it and judged; `rows_sampled` of `rows` are drawn. `fraction` (0 to 1)
    and `seconds_left` concern the whole work and are filled in by whoever runs it; an engine leaves them alone.
    """

    stage: Stage
    epoch: int = 0
    epochs: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    rows_sampled: int = 0
    rows: int = 0
    fraction: float = 0.0
    seconds_left: float | None = None


Draw = Callable[[int, int], "pa.Table"]
"""Draws so many rows of the learned table by a seed, from the model as it would be if its fitting ended now."""


class Report(Protocol):
    """Where an engine tells how far it is, after every epoch and every batch of rows."""

    def __call__(self, progress: Progress) -> None:
        """Takes note of the progress."""

    def cancelled(self) -> bool:
        """Whether the work was called off; an engine then raises Cancelled as soon as it can."""

    def scores(self, epoch: int, draw: Draw) -> Mapping[str, float]:
        """How good rows of the model are after an epoch, by metric; nothing where nobody asks after this one.

        Asked after every epoch by engines for model types that are `scored_while_training`. Drawing must change nothing
        of what is fitted. Raises Cancelled.
        """


@dataclass(frozen=True)
class ModelSpec:
    """What to fit: the model's type, its parameters in force (all of them, checked) and the seed, 0 to 2^32 - 1."""

    model_type: str
    parameters: Mapping[str, object]
    seed: int


class FittedModel(Protocol):
    """A model that was fitted to a learned table."""

    def sample(
        self, rows: int, seed: int, conditions: Mapping[str, float | int], report: Report
    ) -> "Iterator[pa.Table]":
        """Draws rows, in batches, with the learned table's columns.

        `conditions` fixes columns: a number, or a category's code, by the learned table's names. The same seed gives
        the same rows, whatever was drawn before. Raises Failure (`CONDITION_TOO_RARE`) if the model makes no such rows.
        """

    def save(self, directory: Path) -> None:
        """Writes the model into an empty directory."""


@dataclass(frozen=True)
class ModelType:
    """A kind of model that an engine has.

    `category_limit` is how many categories a column can have before the rarest are learned as one; None for any
    number. `scored_while_training` says whether the engine lets rows be drawn and judged after every epoch.
    """

    parameters: "type[Parameters]"
    category_limit: int | None = None
    scored_while_training: bool = False


class Engine(Protocol):
    """What fits models of some types. Its module imports without its libraries; fitting and loading need them."""

    name: str
    model_types: Mapping[str, ModelType]

    def fit(self, table: "pa.Table", spec: ModelSpec, report: Report) -> FittedModel:
        """Fits a model to a learned table. The same table and spec give the same model.

        Raises Failure (`TRAINING_DIVERGED`) if a loss stops being a number, and Cancelled.
        """

    def load(self, directory: Path) -> FittedModel:
        """Reads a model that `save` wrote. Unpickles: only for what this platform wrote and has checked."""

    def warm_up(self) -> None:
        """Imports what fitting and loading need; it does nothing else."""

    def estimate(self, table: "TableShape", spec: ModelSpec, rows: int) -> "Estimate":
        """What fitting a model to such a table and drawing so many rows would take, on a machine like most."""

    def versions(self) -> Mapping[str, str]:
        """The versions of the libraries that make the rows, by distribution name."""
