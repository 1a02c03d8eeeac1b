"""The generation service's rows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Enum, Float, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from servicekit import database
from servicekit.departures import DepartureColumns, Departures
from servicekit.failures import FailureColumns
from servicekit.loose_objects import LooseObjectColumns
from services.generation.states import JobState, Purpose

Document = dict[str, Any]  # JSON


class Base(DeclarativeBase):
    """Every table of the generation service but the queue's, which are the queue library's own."""

    metadata = database.metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way to say it
        datetime: DateTime(timezone=True),
        str: Text,
        float: Float(53),
        Document: JSONB,
        list[str]: ARRAY(Text),
        list[Document]: JSONB,
        dict[str, float]: JSONB,
        JobState: Enum(
            JobState, native_enum=False, length=20, values_callable=lambda states: [state.value for state in states]
        ),
        Purpose: Enum(
            Purpose, native_enum=False, length=20, values_callable=lambda purposes: [each.value for each in purposes]
        ),
    }


class Standing(FailureColumns):
    """How a job stands: the columns that a job and each of its events share."""

    state: Mapped[JobState]
    progress: Mapped[float] = mapped_column(default=0.0)  # 0 to 1
    stage: Mapped[str]
    epoch: Mapped[int] = mapped_column(default=0)
    epochs: Mapped[int] = mapped_column(default=0)
    losses: Mapped[dict[str, float]] = mapped_column(default=dict)
    rows_sampled: Mapped[int] = mapped_column(default=0)
    seconds_left: Mapped[float | None]
    quality_score: Mapped[float | None]  # 0 to 1; null before the table is judged, and where it couldn't be
    search: Mapped[Document | None]  # how the search for its parameters stands; null where there is none


class Job(Standing, Base):
    """A model trained on a dataset, and rows drawn from it. Ids ascend with time (UUIDv7), so lists go by id.

    A search's trial is one too: it is named by its study and number, and nobody's list shows it.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_owner_id_id", "owner_id", "id"),
        Index("ix_jobs_dataset_id_owner_id", "dataset_id", "owner_id"),
        # What dispatch counts and takes, out of ever more jobs that have ended.
        Index("ix_jobs_dispatched", "owner_id", postgresql_where=text("queue_id IS NOT NULL")),
        Index("ix_jobs_waiting", "owner_id", "id", postgresql_where=text("state = 'queued' AND queue_id IS NULL")),
        Index("ix_jobs_open", "state", "model_type", "purpose", postgresql_where=text("ended_at IS NULL")),
        Index("uq_jobs_study_id_trial_number", "study_id", "trial_number", unique=True),
        Index("ix_jobs_awaiting_approval", "id", postgresql_where=text("state = 'awaiting_approval'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    name: Mapped[str]
    purpose: Mapped[Purpose] = mapped_column(default=Purpose.JOB)
    study_id: Mapped[UUID | None]  # the search that it is a trial of, or that found its parameters
    trial_number: Mapped[int | None]  # from 1; null for what is no trial

    # What was asked for, with every default filled in.
    sample_size: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    engine: Mapped[str]
    model_type: Mapped[str]
    parameters: Mapped[Document]
    adjustments: Mapped[list[str]]
    output_format: Mapped[str]
    include_metadata: Mapped[bool]
    columns: Mapped[list[str]]  # empty: all
    primary_key: Mapped[str]  # empty: none
    target_column: Mapped[str]  # empty: none
    holdout_fraction: Mapped[float]
    conditions: Mapped[Document]
    sensitive_columns: Mapped[list[str]] = mapped_column(default=list)  # empty: chosen
    scoring: Mapped[Document | None]  # what a search wants judged while it trains: epochs and metrics; null for a job
    optimization: Mapped[Document | None]  # the search that was asked for; null where none was

    # What it learns, as it was when the job was started.
    dataset_id: Mapped[UUID]
    dataset_version: Mapped[int]
    dataset_name: Mapped[str]
    source_sha256: Mapped[str]
    source_row_count: Mapped[int] = mapped_column(BigInteger)
    column_specs: Mapped[list[Document]]  # the columns to learn, each with name, type, role and personal data
    personal_data: Mapped[list[Document]] = mapped_column(default=list)  # those of personal data: column, kind, locale

    request_id: Mapped[str | None]  # the request that started it, for the logs
    traceparent: Mapped[str | None]  # its place in a trace (W3C), which the work goes on with
    # Its row in the queue; null while it waits for its owner's other jobs, and once it has ended.
    queue_id: Mapped[int | None] = mapped_column(BigInteger)
    # Its row among the searches; null but while its parameters are searched for.
    search_queue_id: Mapped[int | None] = mapped_column(BigInteger)
    # How often a worker has taken it up; also what tells a worker that another has taken its place.
    attempts: Mapped[int] = mapped_column(default=0)
    # How many of those workers were never heard of again.
    workers_lost: Mapped[int] = mapped_column(default=0)
    last_seq: Mapped[int] = mapped_column(default=0)

    # What came of it.
    model_id: Mapped[UUID | None] = mapped_column(ForeignKey("models.id", ondelete="SET NULL"))
    table_key: Mapped[str | None] = mapped_column(index=True)
    table_sha256: Mapped[str | None]
    table_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quality_problem: Mapped[str] = mapped_column(default="")  # why the table couldn't be judged; empty if it could
    # What an administrator has said to it; null while nobody has, and where nobody had to.
    approved: Mapped[bool | None]
    review_reason: Mapped[str] = mapped_column(default="", server_default="")
    reviewed_at: Mapped[datetime | None]
    details: Mapped[Document | None]  # versions, hashes, column schema and timings, for the metadata document

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class JobEvent(Standing, Base):
    """Something that happened to a job, with how it stood then. `seq` counts from 1 without gaps."""

    __tablename__ = "job_events"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]  # state, progress or notice
    message: Mapped[str]
    last: Mapped[bool]
    # How good rows drawn after the epoch were, by metric.
    scores: Mapped[dict[str, float]] = mapped_column(default=dict, server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StoredReport(Base):
    """How good a job's table is: a QualityReport as JSON, which nothing but its readers looks into."""

    __tablename__ = "quality_reports"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    document: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Model(Base):
    """A fitted model. It outlives its job.

    `hidden` is a trial's, until its search has found it the best: its owner doesn't see it.
    """

    __tablename__ = "models"
    __table_args__ = (
        Index("ix_models_owner_id_id", "owner_id", "id"),
        Index("ix_models_dataset_id_owner_id", "dataset_id", "owner_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    name: Mapped[str]
    job_id: Mapped[UUID]
    dataset_id: Mapped[UUID]
    dataset_version: Mapped[int]
    engine: Mapped[str]
    model_type: Mapped[str]
    parameters: Mapped[Document]
    seed: Mapped[int] = mapped_column(BigInteger)
    training_row_count: Mapped[int] = mapped_column(BigInteger)
    training_seconds: Mapped[float]
    column_names: Mapped[list[str]]
    personal_data: Mapped[list[Document]] = mapped_column(default=list)  # columns, each with its kind and locale
    # Without it the hashes of personal data that the model holds tell nothing; so it isn't in the model.
    protection_key: Mapped[bytes | None]
    object_key: Mapped[str] = mapped_column(index=True)
    object_bytes: Mapped[int] = mapped_column(BigInteger)
    object_sha256: Mapped[str]
    hidden: Mapped[bool] = mapped_column(default=False)
    approved_rows: Mapped[int | None]  # how many an administrator has approved; null where none was asked
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    """A key under which a caller started a job, so that trying again starts no other."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]  # SHA-256 of the request
    # Deferred: the key is claimed before its job's row is written.
    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class LooseObject(LooseObjectColumns, Base):
    """An object that no row names, or may never come to; see servicekit.loose_objects."""


class Departure(DepartureColumns, Base):
    """A user whose account is gone; see servicekit.departures."""


DEPARTURES = Departures(Departure, "generation")
