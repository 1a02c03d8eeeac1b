"""What is known of a source's columns before the table is read."""

from pydantic import BaseModel, ConfigDict

from servicekit.column_types import ColumnRole, ColumnType
from servicekit.personal_data import PersonalKind


class ColumnSpec(BaseModel):
    """A column of the source, with the type, role and kind of personal data in force."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: ColumnType
    role: ColumnRole = ColumnRole.FEATURE
    personal_data: PersonalKind | None = None
    """What personal data it holds; such a column is never learned."""
    personal_data_locale: str = ""
    """Language and country of its personal data, as in `de_DE`; empty where unknown."""
