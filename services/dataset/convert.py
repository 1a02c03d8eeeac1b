"""Pure: rows to messages, messages to fields."""

from typing import Any, Literal
from uuid import UUID

from google.protobuf.json_format import ParseDict

from mirage.dataset.v1 import dataset_pb2, profile_pb2
from servicekit.enums import EnumNames
from servicekit.failures import failure_to_proto
from servicekit.follow import encode_resume_token
from servicekit.timestamps import to_timestamp, utc_now
from services.dataset.models import DatasetEvent, Document, Version
from services.dataset.personal_data.in_force import personal
from services.dataset.personal_data.kinds import NONE
from services.dataset.publishing import held_by, warnings_of
from services.dataset.repository import View
from services.dataset.states import State

# Fields of a profile that show values, or where they lie.
_VALUES: tuple[Literal["top_values", "numeric", "temporal", "histogram"], ...] = (
    "top_values",
    "numeric",
    "temporal",
    "histogram",
)
_STATES = EnumNames(State, dataset_pb2.DatasetState, "DATASET_STATE_")


def filter_fields(request: dataset_pb2.ListDatasetsRequest) -> dict[str, Any]:
    """A list's filter; what isn't set is left out."""
    fields: dict[str, Any] = {"text": request.text}
    if request.visibility:
        fields["visibility"] = request.visibility
    if request.state:
        fields["state"] = _STATES.word(request.state)
    return fields


def change_fields(request: dataset_pb2.UpdateDatasetRequest) -> dict[str, Any]:
    """What is to change of a dataset; what isn't set is left out."""
    fields: dict[str, Any] = {}
    if request.HasField("name"):
        fields["name"] = request.name
    if request.HasField("description"):
        fields["description"] = request.description
    if request.HasField("visibility"):
        fields["visibility"] = request.visibility
    return fields


def column_fields(update: dataset_pb2.ColumnUpdate) -> dict[str, Any]:
    """What is to change of a column; what isn't set is left out."""
    fields: dict[str, Any] = {"name": update.name}
    if update.HasField("type"):
        fields["type"] = update.type
    if update.HasField("role"):
        fields["role"] = update.role
    if update.HasField("personal_data"):
        fields["personal_data"] = update.personal_data
    if update.HasField("personal_data_locale"):
        fields["personal_data_locale"] = update.personal_data_locale
    return fields


def dataset_to_proto(view: View, *, with_columns: bool = True) -> dataset_pb2.Dataset:
    """A dataset with its latest version."""
    dataset, version = view
    return dataset_pb2.Dataset(
        dataset_id=str(dataset.id),
        owner_id=str(dataset.owner_id),
        name=dataset.name,
        description=dataset.description,
        visibility=dataset.visibility.value,
        state=_STATES.to_proto(version.state),
        error=failure_to_proto(version),
        latest_version=dataset.latest_version,
        row_count=version.row_count,
        column_count=len(version.columns),
        source_format=version.source_format,
        source_bytes=version.source_bytes,
        source_sha256=version.source_sha256,
        columns=columns_to_proto(view) if with_columns else (),
        warnings=version.warnings,
        create_time=to_timestamp(dataset.created_at),
        update_time=to_timestamp(dataset.updated_at),
    )


def columns_to_proto(view: View) -> list[dataset_pb2.Column]:
    """A version's columns, with the personal data that is in force."""
    holding = personal(held_by(*view))
    columns = []
    for column in view.version.columns:
        held = holding.get(column["name"])
        columns.append(
            dataset_pb2.Column(
                **column,
                personal_data=held.kind or "" if held else "",
                personal_data_locale=held.locale if held else "",
            )
        )
    return columns


def version_to_proto(version: Version) -> dataset_pb2.DatasetVersion:
    """A version."""
    return dataset_pb2.DatasetVersion(
        dataset_id=str(version.dataset_id),
        version=version.number,
        state=_STATES.to_proto(version.state),
        error=failure_to_proto(version),
        row_count=version.row_count,
        column_count=len(version.columns),
        source_format=version.source_format,
        source_bytes=version.source_bytes,
        source_sha256=version.source_sha256,
        table_bytes=version.table_bytes,
        table_sha256=version.table_sha256,
        create_time=to_timestamp(version.created_at),
    )


def profile_to_proto(view: View, profile: Document, reader_id: UUID) -> profile_pb2.DatasetProfile:
    """A version's profile, which is kept in the contract's own shape; values of people are for the owner alone."""
    dataset, version = view
    held = held_by(dataset, version)
    message = profile_pb2.DatasetProfile(dataset_id=str(dataset.id), version=version.number)
    ParseDict(profile, message)
    message.warnings.extend(warnings_of(version, held))
    message.personal_data.extend(
        profile_pb2.PersonalDataFinding(
            column=each.column,
            kind=each.kind or NONE,
            locale=each.locale,
            confidence=each.confidence,
            matching_share=each.matching_share,
            evidence=each.evidence,
            decided_by=each.decided_by,
        )
        for each in held
    )
    if reader_id != dataset.owner_id:
        holding = personal(held)
        for column in message.columns:
            if column.name in holding:
                for field in _VALUES:
                    column.ClearField(field)
    return message


def event_to_proto(event: DatasetEvent) -> dataset_pb2.DatasetEvent:
    """An event."""
    return dataset_pb2.DatasetEvent(
        dataset_id=str(event.dataset_id),
        sequence=event.seq,
        resume_token=encode_resume_token(event.dataset_id, event.seq),
        state=_STATES.to_proto(event.state),
        stage=event.stage.value,
        progress=event.progress,
        rows_read=event.rows_read,
        error=failure_to_proto(event),
        event_time=to_timestamp(event.created_at),
        version=event.version,
    )


def heartbeat_to_proto(dataset_id: UUID, after: int) -> dataset_pb2.DatasetEvent:
    """What is sent where nothing has happened for a while."""
    return dataset_pb2.DatasetEvent(
        dataset_id=str(dataset_id),
        resume_token=encode_resume_token(dataset_id, after),
        state=dataset_pb2.DATASET_STATE_PROCESSING,
        stage="heartbeat",
        event_time=to_timestamp(utc_now()),
    )
