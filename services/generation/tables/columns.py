"""What is known of a source's columns before the table is read."""

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


class ColumnSpec(BaseModel):
    """A column of the source, with the type and role in force."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: ColumnType
    role: ColumnRole = ColumnRole.FEATURE
