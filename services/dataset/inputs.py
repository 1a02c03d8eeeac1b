"""What callers may send, as pydantic models: every wrong field is found at once, and says what would be right."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from servicekit.column_types import ColumnRole, ColumnType
from services.dataset.personal_data.kinds import NONE, Kind, locales
from services.dataset.states import State, Visibility

LONGEST_NAME = 200


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("must be one line without control characters")
    return text


def _no_null(text: str) -> str:
    if "\0" in text:  # PostgreSQL's text can't hold it
        raise ValueError("must not hold the null character")
    return text


def _sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ValueError("must be 64 hexadecimal digits")
    return text.lower()


def _kind(text: str) -> str:
    if text not in ("", NONE, *Kind):
        raise ValueError(f"must be one of {', '.join(Kind)}; {NONE} for no personal data; empty for what was found")
    return text


def _locale(text: str) -> str:
    locale = text.replace("-", "_")
    if locale and locale not in locales():
        raise ValueError("must be a locale such as de_DE or en_GB for which values are invented; empty if unknown")
    return locale


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME), AfterValidator(_one_line)
]
Description = Annotated[str, Field(max_length=2000), AfterValidator(_no_null)]
PersonalData = Annotated[str, AfterValidator(_kind)]
Locale = Annotated[str, AfterValidator(_locale)]
Sha256 = Annotated[str, AfterValidator(_sha256)]


class Input(BaseModel):
    """The base of what callers send."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Announcement(Input):
    """What the first message of an upload may say; an absent name may still follow with the file."""

    name: Name | None = None
    description: Description = ""
    visibility: Visibility = Visibility.PRIVATE
    sha256: Sha256 | None = None


class Details(Input):
    """What a dataset is called, and who may read it."""

    name: Name
    description: Description = ""
    visibility: Visibility = Visibility.PRIVATE


class ListFilter(Input):
    """Which datasets to list; None is any."""

    visibility: Visibility | None = None
    state: State | None = None
    text: Annotated[str, Field(max_length=200), AfterValidator(_no_null)] = ""


class ColumnChange(Input):
    """What is to change of a column; None stays."""

    name: str
    type: ColumnType | None = None
    role: ColumnRole | None = None
    personal_data: PersonalData | None = None
    personal_data_locale: Locale | None = None


class DatasetChange(Input):
    """What is to change of a dataset beside its columns; None stays."""

    name: Name | None = None
    description: Description | None = None
    visibility: Visibility | None = None
