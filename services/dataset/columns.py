"""What a column of a table is taken for, and what it is for."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class ColumnType(StrEnum):
    """What a column is taken for."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"
    DATETIME = "datetime"
    DATE = "date"
    TEXT = "text"
    IDENTIFIER = "identifier"


class ColumnRole(StrEnum):
    """What a column is for."""

    FEATURE = "feature"
    PRIMARY_KEY = "primary_key"
    TARGET = "target"


class Column(BaseModel):
    """A column of a version. `type` is in force; it differs from `inferred_type` where it was set by hand."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: ColumnType
    inferred_type: ColumnType
    role: ColumnRole = ColumnRole.FEATURE
    nullable: bool
