"""A learned table and somebody to report to, for every test of an engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest

from services.generation.engines.protocol import Draw, Progress


@dataclass
class Listener:
    """Writes down what is reported; says that the work is called off once `called_off` holds."""

    heard: list[Progress] = field(default_factory=list)
    scored_after: tuple[int, ...] = ()
    drawn: list[pa.Table] = field(default_factory=list)
    called_off: Callable[["Listener"], bool] = lambda _: False

    def __call__(self, progress: Progress) -> None:
        """Writes it down."""
        self.heard.append(progress)

    def cancelled(self) -> bool:
        """Whether the work was called off."""
        return self.called_off(self)

    def scores(self, epoch: int, draw: Draw) -> Mapping[str, float]:
        """How many rows can be drawn after an epoch that is asked for."""
        if epoch not in self.scored_after:
            return {}
        self.drawn.append(draw(40, 5))
        return {"rows": float(len(self.drawn[-1]))}


@pytest.fixture(scope="module")
def learned() -> pa.Table:
    """A learned table: two numbers and two categories, of which the first moves a number."""
    draws = np.random.default_rng(3)
    kind = draws.choice(4, 600, p=[0.5, 0.3, 0.15, 0.05]).astype(np.int32)
    return pa.table({
        "c0": pa.array(draws.normal(size=600) + 4 * kind),
        "c1": pa.array(draws.exponential(size=600)),
        "c2": pa.array(kind),
        "m1": pa.array((draws.random(600) < 0.2).astype(np.int32)),
    })  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Computes as a child process does: with one thread."""
    import torch

    torch.set_num_threads(1)
