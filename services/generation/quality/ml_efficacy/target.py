"""What is to be predicted: classes or a number."""

from dataclasses import dataclass

import numpy as np

from services.generation.quality.parts import Floats
from services.generation.quality.tables import Codes, Column, Kind, Numbers, Table

# A number with no more values than this is taken for classes.
MOST_VALUES_OF_CLASSES = 10
# Classes told apart; those beyond the commonest are one.
MOST_CLASSES = 10
# Fewer rows than this teach nothing of a class.
LEAST_ROWS_OF_CLASS = 10

# What is larger is nobody's measurement, and its square no number.
_HUGE = 1e100


@dataclass(frozen=True)
class Target:
    """How a target's values are read.

    `classes` are the codes or numbers of the classes told apart, the commonest first, or None if it is a number to be
    predicted. What is none of the classes is one more class.
    """

    index: int
    classes: Floats | None

    @property
    def class_count(self) -> int:
        """How many classes there may be, with the one for all others."""
        return 0 if self.classes is None else len(self.classes) + 1

    def of(self, table: Table) -> Floats:
        """A table's values, shape (rows,): the number or the class's place, NaN where missing."""
        values = _known(table.columns[self.index], table.values[self.index])
        return values if self.classes is None else _placed(self.classes, values)


def target_of(table: Table, name: str) -> Target:
    """How to read the column of a real table: classes, or a number where it has more than ten values."""
    index = next(index for index, column in enumerate(table.columns) if column.name == name)
    column = table.columns[index]
    values = _known(column, table.values[index])
    distinct, seen = np.unique(values[~np.isnan(values)], return_counts=True)
    if column.kind != Kind.CATEGORY and len(distinct) > MOST_VALUES_OF_CLASSES:
        return Target(index, None)
    commonest = np.argsort(-seen, kind="stable")[:MOST_CLASSES]
    return Target(index, distinct[commonest[seen[commonest] >= LEAST_ROWS_OF_CLASS]])


def _placed(classes: Floats, values: Floats) -> Floats:
    """The place of each value among the classes, one more for what is none of them, NaN where missing."""
    placed = np.full(len(values), float(len(classes)))
    for place, value in enumerate(classes):
        placed[values == value] = place
    placed[np.isnan(values)] = np.nan
    return placed


def _known(column: Column, values: Numbers | Codes) -> Floats:
    known = values.astype(np.float64)
    known[(values < 0) if column.kind == Kind.CATEGORY else ~(np.abs(known) < _HUGE)] = np.nan
    return known
