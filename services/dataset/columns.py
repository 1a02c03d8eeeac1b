"""What a column of a table is taken for, and what it is for."""

from pydantic import BaseModel, ConfigDict

from servicekit.column_types import ColumnRole, ColumnType


class Column(BaseModel):
    """A column of a version. `type` is in force; it differs from `inferred_type` where it was set by hand."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: ColumnType
    inferred_type: ColumnType
    role: ColumnRole = ColumnRole.FEATURE
    nullable: bool
