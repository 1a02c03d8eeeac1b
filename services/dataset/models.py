"""The dataset service's rows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Enum, Float, ForeignKey, ForeignKeyConstraint, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from servicekit import database
from servicekit.departures import DepartureColumns, Departures
from servicekit.failures import FailureColumns
from servicekit.loose_objects import LooseObjectColumns, LooseObjects
from services.dataset.states import Stage, State, Visibility

Document = dict[str, Any]  # JSON


def _words(enumeration: type[State] | type[Stage] | type[Visibility]) -> Enum:
    return Enum(
        enumeration, native_enum=False, length=20, values_callable=lambda members: [member.value for member in members]
    )


class Base(DeclarativeBase):
    """Every table of the dataset service but the queue's, which are the queue library's own."""

    metadata = database.metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way to say it
        datetime: DateTime(timezone=True),
        str: Text,
        float: Float(53),
        Document: JSONB,
        list[str]: ARRAY(Text),
        list[Document]: JSONB,
        State: _words(State),
        Stage: _words(Stage),
        Visibility: _words(Visibility),
    }


class Dataset(Base):
    """A table that somebody uploaded, in one or more versions. Ids ascend with time (UUIDv7), so lists go by id.

    Whoever changes a version or writes an event holds the lock of the dataset's row.
    """

    __tablename__ = "datasets"
    __table_args__ = (
        Index("ix_datasets_owner_id_id", "owner_id", "id"),
        Index("ix_datasets_public", "id", postgresql_where=text("visibility = 'public'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    name: Mapped[str]
    description: Mapped[str]
    visibility: Mapped[Visibility]
    latest_version: Mapped[int]
    versions_made: Mapped[int]  # the number that was given last: none is given twice
    last_seq: Mapped[int] = mapped_column(default=0)
    # What the owner said of columns' personal data, whatever the scan finds: {column: {kind, locale}}.
    personal_data_by_hand: Mapped[Document] = mapped_column(default=dict)
    # Which of it may be read by everybody: {user_id, time, columns: {column: kind}}; null while nobody has confirmed.
    personal_data_confirmed: Mapped[Document | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Version(FailureColumns, Base):
    """One version of a dataset: the file as it was uploaded and, when it is ready, the table made of it."""

    __tablename__ = "dataset_versions"
    __table_args__ = (Index("ix_dataset_versions_queue_id", "queue_id", postgresql_where=text("queue_id IS NOT NULL")),)

    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[State]

    # The file.
    source_key: Mapped[str] = mapped_column(index=True)
    source_name: Mapped[str]  # as its owner called it; may be empty
    source_bytes: Mapped[int] = mapped_column(BigInteger)
    source_sha256: Mapped[str]

    # What was made of it; empty until the version is ready.
    source_format: Mapped[str] = mapped_column(default="")
    table_key: Mapped[str | None] = mapped_column(index=True)
    table_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    table_sha256: Mapped[str] = mapped_column(default="")
    row_count: Mapped[int] = mapped_column(BigInteger, default=0)
    columns: Mapped[list[Document]] = mapped_column(default=list)
    warnings: Mapped[list[str]] = mapped_column(default=list)
    profile: Mapped[Document | None] = mapped_column(deferred=True, deferred_raiseload=True)
    # What the scan for personal data found; null where the table was made before there was one.
    personal_data: Mapped[list[Document] | None] = mapped_column(JSONB(none_as_null=True))

    request_id: Mapped[str | None]  # the request that uploaded it, for the logs
    traceparent: Mapped[str | None]  # its place in a trace (W3C), which reading it in goes on with
    # Its row in the queue; null once it is ready or has failed.
    queue_id: Mapped[int | None] = mapped_column(BigInteger)
    # How often it was taken up; also what tells a process that another has taken its place.
    attempts: Mapped[int] = mapped_column(default=0)
    at_work: Mapped[bool] = mapped_column(default=False)
    # How many of those processes were never heard of again.
    losses: Mapped[int] = mapped_column(default=0)

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DatasetEvent(FailureColumns, Base):
    """Something that happened to a dataset while a version was read in. `seq` counts from 1 without gaps."""

    __tablename__ = "dataset_events"

    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]
    state: Mapped[State]
    stage: Mapped[Stage]
    progress: Mapped[float]  # 0 to 1
    rows_read: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[bool]  # no version is being read in any more
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    """A key under which a caller uploaded a version, so that trying again makes no other."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        # Deferred: the key is claimed before its version's row is written.
        ForeignKeyConstraint(
            ["dataset_id", "version"],
            ["dataset_versions.dataset_id", "dataset_versions.number"],
            ondelete="CASCADE",
            deferrable=True,
            initially="DEFERRED",
        ),
        Index("ix_idempotency_keys_dataset_id_version", "dataset_id", "version"),
    )

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]  # SHA-256 of the request and the file
    dataset_id: Mapped[UUID]
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class LooseObject(LooseObjectColumns, Base):
    """An object that no row names, or may never come to."""


loose_objects = LooseObjects(LooseObject)


class Departure(DepartureColumns, Base):
    """A user whose account is gone; see servicekit.departures."""


departures = Departures(Departure, "dataset")
