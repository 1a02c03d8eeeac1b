"""The optimizer service's rows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Enum, Float, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from servicekit import database
from servicekit.departures import DepartureColumns, Departures
from servicekit.failures import FailureColumns
from services.optimizer.states import EndReason, StudyState, TrialState

Document = dict[str, Any]  # JSON


def _words(kind: type[StudyState] | type[TrialState] | type[EndReason]) -> Enum:
    return Enum(
        kind, native_enum=False, length=20, values_callable=lambda members: [member.value for member in members]
    )


class Base(DeclarativeBase):
    """Every table of the optimizer service but the queue's, which are the queue library's own."""

    metadata = database.metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way to say it
        datetime: DateTime(timezone=True),
        str: Text,
        float: Float(53),
        Document: JSONB,
        list[str]: ARRAY(Text),
        list[Document]: JSONB,
        dict[str, float]: JSONB,
        StudyState: _words(StudyState),
        TrialState: _words(TrialState),
        EndReason: _words(EndReason),
    }


class Study(FailureColumns, Base):
    """A search for parameters. Ids ascend with time (UUIDv7), so lists go by id."""

    __tablename__ = "studies"
    __table_args__ = (
        Index("ix_studies_owner_id_id", "owner_id", "id"),
        Index("ix_studies_dataset_id_owner_id", "dataset_id", "owner_id"),
        Index("ix_studies_queued", "queue_id", postgresql_where=text("queue_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    name: Mapped[str]
    state: Mapped[StudyState]

    # What was asked for, with every default filled in.
    dataset_id: Mapped[UUID]
    dataset_version: Mapped[int]
    dataset_name: Mapped[str]
    engine: Mapped[str]
    model_type: Mapped[str]
    method: Mapped[str]
    metric: Mapped[str]
    objectives: Mapped[list[str]]  # empty: the metric alone
    caps: Mapped[Document]
    search_space: Mapped[Document]
    parameters: Mapped[Document]  # those that every trial has
    acquisition_function: Mapped[str]
    seed: Mapped[int] = mapped_column(BigInteger)
    n_trials: Mapped[int]
    parallel_trials: Mapped[int]
    timeout_seconds: Mapped[float | None]
    patience: Mapped[int | None]
    target_column: Mapped[str]  # empty: one is chosen
    columns: Mapped[list[str]]  # empty: all
    holdout_fraction: Mapped[float]
    table: Mapped[Document]  # what the generation service said of the table and the model: parameters, rows
    notes: Mapped[list[str]]

    job_id: Mapped[UUID | None] = mapped_column(unique=True)  # the job that ordered it
    request_id: Mapped[str | None]  # the request that started it, for the logs
    traceparent: Mapped[str | None]  # its place in a trace (W3C), which the work goes on with
    # Its row in the queue; null once it has ended and its trials are put away.
    queue_id: Mapped[int | None] = mapped_column(BigInteger)
    # How often a process has taken it up; also what tells a process that another has taken its place.
    attempts: Mapped[int] = mapped_column(default=0)
    last_seq: Mapped[int] = mapped_column(default=0)

    # How it stands.
    trials_ended: Mapped[int] = mapped_column(default=0)
    trials_pruned: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # of those, stopped early
    best_number: Mapped[int | None]
    best_score: Mapped[float | None]
    importances: Mapped[dict[str, float]] = mapped_column(default=dict)
    end_reason: Mapped[EndReason | None]

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Trial(FailureColumns, Base):
    """One training that a study has ordered. `number` counts from 1 in the order in which they were asked for."""

    __tablename__ = "trials"

    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[TrialState]
    suggestion: Mapped[Document]  # as the search asked for it
    parameters: Mapped[Document]  # the searched ones, with the values in force
    adjustments: Mapped[list[str]] = mapped_column(default=list)
    epoch: Mapped[int] = mapped_column(default=0)
    epochs: Mapped[int] = mapped_column(default=0)
    losses: Mapped[dict[str, float]] = mapped_column(default=dict)
    reports: Mapped[Document] = mapped_column(default=dict)  # scores on the way, by epochs
    score: Mapped[float | None]
    objectives: Mapped[dict[str, float]] = mapped_column(default=dict)
    metrics: Mapped[dict[str, float]] = mapped_column(default=dict)
    broken_caps: Mapped[list[str]] = mapped_column(default=list)
    attempts: Mapped[int] = mapped_column(default=0)
    model_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class StudyEvent(FailureColumns, Base):
    """Something that happened to a study, with how it stood then. `seq` counts from 1 without gaps."""

    __tablename__ = "study_events"

    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    message: Mapped[str]
    last: Mapped[bool]
    state: Mapped[StudyState]
    trials_ended: Mapped[int]
    n_trials: Mapped[int]
    trial: Mapped[Document | None]  # the trial that it is about, as it stood then
    best_number: Mapped[int | None]
    best_score: Mapped[float | None]
    importances: Mapped[dict[str, float]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    """A key under which a caller started a study, so that trying again starts no other."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]  # SHA-256 of the request
    # Deferred: the key is claimed before its study's row is written.
    study_id: Mapped[UUID] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class Departure(DepartureColumns, Base):
    """A user whose account is gone; see servicekit.departures."""


DEPARTURES = Departures(Departure, "optimizer")
