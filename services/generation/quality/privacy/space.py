"""A space in which records are as near as they are alike."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.generation.quality.parts import Floats
from services.generation.quality.tables import Column, Kind, Table

# Farther from any rank than ranks are from one another; what exceeds 1 counts as 1.
_MISSING = 2.0


@dataclass(frozen=True)
class Points:
    """Records in the space: ranks, shape (numbers, rows), and codes, shape (categories, rows)."""

    ranks: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.ranks.shape[1])

    def part(self, start: int, stop: int) -> "Points":
        """The records from one place to before another."""
        return Points(self.ranks[:, start:stop], self.codes[:, start:stop])


class Space:
    """Gower's space (1971, "A general coefficient of similarity", section 2), its numbers taken by their rank.

    Two records are as far from each other as the mean over the columns says, 0 to 1: of a number or date the difference
    between the shares of real rows below either (their ranks, so that neither unit nor outlier matters), of a category
    0 if equal and 1 if not. Missing is 0 from missing and 1 from anything else.
    """

    def __init__(self, real: Table, without: str | None = None) -> None:
        """The space of all columns but one; `real` are the rows that ranks refer to."""
        columns = [(index, column) for index, column in enumerate(real.columns) if column.name != without]
        self._numbers = [index for index, column in columns if column.kind != Kind.CATEGORY]
        self._categories = [index for index, column in columns if column.kind == Kind.CATEGORY]
        self._sorted = {index: _known(real, index) for index in self._numbers}
        self.columns: tuple[Column, ...] = tuple(column for _, column in columns)

    @property
    def alike(self) -> float:
        """The distance up to which records are alike: the same categories, numbers 1 % of ranks apart on average."""
        return min(0.01 * len(self._numbers), 0.5) / max(1, len(self.columns))

    def points(self, table: Table) -> Points:
        """A table's records."""
        ranks = np.empty((len(self._numbers), len(table)), dtype=np.float32)
        for place, index in enumerate(self._numbers):
            ranks[place] = _ranks(self._sorted[index], table.values[index].astype(np.float64))
        codes = np.empty((len(self._categories), len(table)), dtype=np.int32)
        for place, index in enumerate(self._categories):
            codes[place] = table.values[index]
        return Points(ranks, codes)


def ranks(real: Table, table: Table, index: int) -> Floats:
    """What share of a number's real values lies below each of a table's, equal ones counted half; missing is 2."""
    return _ranks(_known(real, index), table.values[index].astype(np.float64))


def _known(real: Table, index: int) -> Floats:
    values = real.values[index].astype(np.float64)
    return np.sort(values[~np.isnan(values)])


def _ranks(known: Floats, values: Floats) -> Floats:
    below = np.searchsorted(known, values, side="left")
    up_to = np.searchsorted(known, values, side="right")
    placed = (below + up_to) / (2 * len(known)) if len(known) else np.full(len(values), 0.5)
    placed[np.isnan(values)] = _MISSING
    return placed
