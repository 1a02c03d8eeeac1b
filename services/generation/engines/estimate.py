"""What a training would take, told before it starts. Imports neither torch nor SDV."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from servicekit.column_types import ColumnRole, ColumnType
from services.generation.tables.columns import ColumnSpec

# Categories that a column is taken to have while nobody has counted them.
ASSUMED_CATEGORIES = 12


class TableShape(BaseModel):
    """What costs depend on: rows to train on, columns of numbers, and how many categories each other column has."""

    model_config = ConfigDict(frozen=True)

    rows: int
    numbers: int
    categories: Mapping[str, int]

    @classmethod
    def expected(cls, rows: int, columns: Iterable[ColumnSpec]) -> "TableShape":
        """The shape of a table that nobody has looked into, by the types of its columns."""
        learned = [
            column
            for column in columns
            if column.personal_data is None
            and column.role != ColumnRole.PRIMARY_KEY
            and column.type not in {ColumnType.IDENTIFIER, ColumnType.TEXT}
        ]
        categories = {
            column.name: 2 if column.type == ColumnType.BOOLEAN else ASSUMED_CATEGORIES
            for column in learned
            if column.type in {ColumnType.BOOLEAN, ColumnType.CATEGORICAL}
        }
        return cls(rows=rows, numbers=len(learned) - len(categories), categories=categories)


@dataclass(frozen=True)
class Estimate:
    """Seconds from start to end, and the most resident memory in mebibytes. Good to about a factor of two."""

    seconds: float
    memory_mb: float
