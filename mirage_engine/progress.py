"""What is told while a model is fitted or rows are drawn, and how the work is called off."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

Draw = Callable[[int, int], pa.Table]
"""Draws so many rows by a seed; the same seed gives the same rows."""


@dataclass(frozen=True)
class Prepared:
    """So many of a table's columns are encoded, or of its rows are counted, of so many in all."""

    what: Literal["columns", "rows"]
    done: int
    of: int


@dataclass(frozen=True)
class Step:
    """A step of training is done: the `step`-th of `steps` in the `epoch`-th epoch, both counted from 1."""

    epoch: int
    step: int
    steps: int
    loss: float
    """Mean negative log-likelihood of the step's rows, in nats a row."""


@dataclass(frozen=True)
class Epoch:
    """An epoch is done, and the model was measured on the rows held out (losses in nats a row)."""

    epoch: int
    epochs: int
    loss: float
    held_out_loss: float | None
    """None if no rows are held out."""
    best: bool
    """Whether these weights are the best so far."""
    rows_per_second: float
    seconds_left: float
    """Until training stops at the latest; early stopping may end it before."""
    memory_bytes: int
    """The most memory that the process held so far."""
    draw: Draw = field(compare=False, repr=False)
    """Draws rows of the model as it would be if training ended here; what is trained stays as it is.

    It is of use until the listener returns: later it draws from whatever the weights are then.
    """


@dataclass(frozen=True)
class Sampled:
    """So many of the wanted rows are drawn."""

    rows: int
    wanted: int


Event = Prepared | Step | Epoch | Sampled
Listener = Callable[[Event], None]
"""Is called in the thread that fits or samples; by raising `Cancelled` it calls the work off."""


def nobody(event: Event) -> None:
    """Listens to nothing."""
    del event
