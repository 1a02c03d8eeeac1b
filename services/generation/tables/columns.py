"""What is known of a source's columns before the table is read."""

from pydantic import BaseModel, ConfigDict

from servicekit.column_types import ColumnRole, ColumnType


class ColumnSpec(BaseModel):
    """A column of the source, with the type and role in force."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: ColumnType
    role: ColumnRole = ColumnRole.FEATURE
