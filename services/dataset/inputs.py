"""What callers may send, as pydantic models: every wrong field is found at once, and says what would be right."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from mirage.dataset.v1.dataset_pb2 import (
    ColumnUpdate,
    UpdateDatasetRequest,
    UploadDatasetRequest,
)
from servicekit.column_types import ColumnRole, ColumnType
from servicekit.limits import limited
from services.dataset.personal_data.kinds import locales
from services.dataset.states import State, Visibility

LONGEST_NAME = 200


def _locale(text: str) -> str:
    locale = text.replace("-", "_")
    if locale and locale not in locales():
        raise ValueError("must be a locale such as de_DE or en_GB for which values are invented; empty if unknown")
    return locale


Trimmed = StringConstraints(strip_whitespace=True)
Locale = Annotated[str, AfterValidator(_locale)]


class Input(BaseModel):
    """The base of what callers send."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Announcement(Input):
    """What the first message of an upload may say; an absent name may still follow with the file."""

    name: Annotated[str | None, Trimmed, limited(UploadDatasetRequest, "name")] = None
    description: Annotated[str, limited(UploadDatasetRequest, "description")] = ""
    visibility: Annotated[Visibility, limited(UploadDatasetRequest, "visibility")] = Visibility.PRIVATE
    sha256: Annotated[str | None, StringConstraints(to_lower=True), limited(UploadDatasetRequest, "sha256")] = None


class Details(Input):
    """What a dataset is called, and who may read it."""

    name: Annotated[str, Trimmed, limited(UpdateDatasetRequest, "name")]
    description: Annotated[str, limited(UploadDatasetRequest, "description")] = ""
    visibility: Annotated[Visibility, limited(UploadDatasetRequest, "visibility")] = Visibility.PRIVATE


class ListFilter(Input):
    """Which datasets to list; None is any."""

    visibility: Visibility | None = None
    state: State | None = None
    text: str = ""


class ColumnChange(Input):
    """What is to change of a column; None stays."""

    name: Annotated[str, limited(ColumnUpdate, "name")]
    type: Annotated[ColumnType | None, limited(ColumnUpdate, "type")] = None
    role: Annotated[ColumnRole | None, limited(ColumnUpdate, "role")] = None
    personal_data: Annotated[str | None, limited(ColumnUpdate, "personal_data")] = None
    personal_data_locale: Locale | None = None


class DatasetChange(Input):
    """What is to change of a dataset beside its columns; None stays."""

    name: Annotated[str | None, Trimmed, limited(UpdateDatasetRequest, "name")] = None
    description: Annotated[str | None, limited(UpdateDatasetRequest, "description")] = None
    visibility: Annotated[Visibility | None, limited(UpdateDatasetRequest, "visibility")] = None
