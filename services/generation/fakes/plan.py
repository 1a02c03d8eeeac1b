"""What is kept of columns of personal data: how to write, how often to repeat, and what never to say."""

from operator import mul
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from servicekit.personal_data import PersonalKind
from services.generation.fakes.protected import ProtectedValues
from services.generation.fakes.styles import Style

MOST_REPEATS: Final = 1000


class FakeColumn(BaseModel):
    """One column of personal data.

    `unique` says that no two of what its set stands for have the same; `distinct` how many different values the source
    has; `largest` is the largest number that a column of numbers holds exactly, None for a column of text.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: PersonalKind
    locale: str
    unique: bool
    distinct: int
    largest: int | None = None
    style: Style
    protected: ProtectedValues


class Repeats(BaseModel):
    """How often the same comes again: so many of the source's have so many rows each."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[int, ...] = (1,)
    weights: tuple[int, ...] = (1,)

    @classmethod
    def of(cls, counts: npt.NDArray[np.int64]) -> "Repeats":
        """From how many rows each has."""
        rows, weights = np.unique(counts, return_counts=True)
        most = np.sort(np.argsort(-weights, kind="stable")[:MOST_REPEATS])
        return cls(rows=tuple(rows[most].tolist()), weights=tuple(weights[most].tolist()))

    def drawn(self, rows: int, draws: np.random.Generator) -> tuple[npt.NDArray[np.int64], int]:
        """Which of how many each of so many rows belongs to.

        Fewer rows than the source's are drawn from as many as it has, so that there are no fewer different ones among
        them than among so many of its own.
        """
        if self.rows == (1,):
            return np.arange(rows), rows
        wanted_rows, rows = rows, max(rows, sum(map(mul, self.rows, self.weights)))
        chances = np.array(self.weights, dtype=np.float64)
        chances /= chances.sum()
        sizes: list[npt.NDArray[np.int64]] = []
        total = 0
        while total < rows:
            wanted = max(16, int((rows - total) / float(chances @ np.array(self.rows))) + 1)
            sizes.append(draws.choice(np.array(self.rows), size=wanted, p=chances))
            total += int(sizes[-1].sum())
        every = np.concatenate(sizes)
        owners = np.repeat(np.arange(len(every)), every)[:rows]
        _, numbered = np.unique(draws.permutation(owners)[:wanted_rows], return_inverse=True)
        return numbered, int(numbered.max()) + 1 if wanted_rows else 0


class FakeSet(BaseModel):
    """Columns that one thing fills together: a person, an address, or a number of its own.

    `follows` is the place of the set that determines it (whoever has the same there has the same here); None where
    it repeats in its own way.
    """

    model_config = ConfigDict(frozen=True)

    columns: tuple[FakeColumn, ...]
    repeats: Repeats
    follows: int | None = None


class FakePlan(BaseModel):
    """All the columns of personal data of a table. Sets come after those that they follow."""

    model_config = ConfigDict(frozen=True)

    sets: tuple[FakeSet, ...]
