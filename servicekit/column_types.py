"""What a column of a table is taken for, and what it is for: the same words in every service."""

from enum import StrEnum


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
