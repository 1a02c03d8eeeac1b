"""Datasets."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from mirage.dataset.v1 import dataset_pb2, profile_pb2
from mirage.records.base import Field, Record, message_of, texts, time, word

if TYPE_CHECKING:
    import pandas as pd

dataset_state = word(dataset_pb2.DatasetState, "DATASET_STATE_")


class Column(Record[dataset_pb2.Column]):
    """One column of a dataset."""

    name = Field("name", str, "Its name, as in the file.")
    type = Field(
        "type", str, "`integer`, `float`, `boolean`, `categorical`, `datetime`, `date`, `text` or `identifier`."
    )
    role = Field("role", str, "`feature`, `primary_key` or `target`.")
    nullable = Field("nullable", bool, "Whether a value is missing anywhere.")
    personal_data = Field(
        "personal_data",
        str,
        "The kind of personal data that it holds, such as `email`; empty if none. It is never learnt: generated tables "
        "get invented values.",
    )
    personal_data_locale = Field("personal_data_locale", str, "Its language and country, as in `de_DE`; may be empty.")

    def __repr__(self) -> str:
        return f"<Column {self.name!r} {self.type}>"


def _columns(messages: Any) -> list[Column]:
    return [Column(message) for message in messages]


class DatasetFields(Record[dataset_pb2.Dataset]):
    """A table that somebody uploaded."""

    id = Field("dataset_id", str, "The dataset's id.")
    name = Field("name", str, "Its name.")
    description = Field("description", str, "What it is.")
    visibility = Field("visibility", str, "`private` or `public`.")
    state = Field("state", dataset_state, "`processing`, `ready` or `failed`.")
    error = Field("error", message_of, "Why the latest version failed; empty otherwise.")
    version = Field("latest_version", int, "The number of its latest version, from 1.")
    row_count = Field("row_count", int, "Rows of the latest version.")
    columns = Field(
        "columns",
        _columns,
        "The columns of the latest version, in order; a dataset from a list has none until `refresh`.",
    )
    column_count = Field("column_count", int, "Columns of the latest version.")
    source_format = Field("source_format", str, "The format that was found in the file.")
    source_bytes = Field("source_bytes", int, "Bytes of the file as it was uploaded.")
    source_sha256 = Field("source_sha256", str, "SHA-256 of the file as it was uploaded, in hexadecimal.")
    warnings = Field("warnings", texts, "What was noticed while reading.")
    create_time = Field("create_time", time, "When it was uploaded.")

    def __repr__(self) -> str:
        return f"<Dataset {self.name!r} {self.row_count} x {self.column_count}, {self.state}, {self.id}>"


class DatasetVersion(Record[dataset_pb2.DatasetVersion]):
    """One immutable version of a dataset."""

    version = Field("version", int, "Its number, from 1.")
    state = Field("state", dataset_state, "`processing`, `ready` or `failed`.")
    row_count = Field("row_count", int, "Its rows.")
    column_count = Field("column_count", int, "Its columns.")
    source_sha256 = Field("source_sha256", str, "SHA-256 of the file as it was uploaded, in hexadecimal.")
    create_time = Field("create_time", time, "When it was uploaded.")

    def __repr__(self) -> str:
        return f"<DatasetVersion {self.version} {self.row_count} x {self.column_count}, {self.state}>"


class DatasetEvent(Record[dataset_pb2.DatasetEvent]):
    """Something that happened to a dataset while it was read in."""

    sequence = Field("sequence", int, "The event's number among the dataset's, from 1, without gaps.")
    resume_token = Field("resume_token", str, "To watch on after this event.")
    state = Field("state", dataset_state, "`processing`, `ready` or `failed`.")

    @property
    def ended(self) -> bool:
        """Whether the file is read, or can't be."""
        return self.state != "processing"

    stage = Field("stage", str, "What is being done.")
    progress = Field("progress", float, "How much of it is done, 0 to 1.")
    rows_read = Field("rows_read", int, "Rows read so far.")
    error = Field("error", message_of, "Why it failed; empty otherwise.")

    def __repr__(self) -> str:
        return f"<DatasetEvent {self.sequence} {self.stage} {self.progress:.0%}>"


class PersonalDataFinding(Record[profile_pb2.PersonalDataFinding]):
    """What a column holds of people: found, or said by the dataset's owner."""

    column = Field("column", str, "The column's name.")
    kind = Field("kind", str, "What it holds, such as `email`; `none` where the owner said so.")
    locale = Field("locale", str, "Language and country, as in `de_DE`; empty where unknown.")
    confidence = Field("confidence", float, "How sure the scan is, 0 to 1; 1 where the owner decided.")
    matching_share = Field("matching_share", float, "The share of the examined values that look like it, 0 to 1.")
    evidence = Field("evidence", texts, "What speaks for it: `pattern`, `checksum`, `column name` and so on.")
    decided_by = Field("decided_by", str, "`scan` or `user`.")

    def __repr__(self) -> str:
        return f"<PersonalDataFinding {self.column!r} {self.kind} {self.confidence:.2f}>"


def _findings(messages: Any) -> list[PersonalDataFinding]:
    return [PersonalDataFinding(message) for message in messages]


class Stats(Record[profile_pb2.DatasetProfile]):
    """What is known of a table without looking at its rows."""

    row_count = Field("row_count", int, "Rows.")
    duplicate_row_count = Field("duplicate_row_count", int, "Rows that are equal to an earlier one in every column.")
    columns: Field[list[profile_pb2.ColumnProfile]] = Field("columns", list, "What is known of each column, in order.")
    correlations: Field[list[profile_pb2.Correlation]] = Field("correlations", list, "How columns go together.")
    warnings = Field("warnings", texts, "What a user should know before learning from this table.")
    personal_data = Field("personal_data", _findings, "What was found of people, or said of it since, by column.")

    def dataframe(self) -> "pd.DataFrame":
        """Returns one row for each column: type, missing, distinct, and mean and range where there are some."""
        import pandas as pd

        return pd.DataFrame([_summary(column) for column in self.proto.columns]).set_index("column")

    def __repr__(self) -> str:
        return f"<Stats {self.row_count} rows, {len(self.proto.columns)} columns>"


def row_of(struct: Struct, names: Iterable[str], types: Mapping[str, str]) -> dict[str, Any]:
    """Returns a row as a dict in the order of `names`; values of columns that are `integer` in `types` are integers."""
    found = json_format.MessageToDict(struct)
    return {
        name: int(found[name]) if types.get(name) == "integer" and found[name] is not None else found[name]
        for name in names
    }


def _summary(column: profile_pb2.ColumnProfile) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "column": column.name,
        "type": column.type,
        "missing": int(column.missing_count),
        "distinct": int(column.distinct_count),
    }
    if column.HasField("numeric"):
        summary |= {
            "mean": column.numeric.mean,
            "deviation": column.numeric.standard_deviation,
            "minimum": column.numeric.minimum,
            "maximum": column.numeric.maximum,
        }
    elif column.HasField("temporal"):
        summary |= {"minimum": column.temporal.minimum, "maximum": column.temporal.maximum}
    if column.top_values:
        summary |= {"most_frequent": column.top_values[0].value}
    return summary
