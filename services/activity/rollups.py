"""Counts of what happened, by quarter of an hour, as the database keeps them.

Triggers add them up as records are added (see the migration that makes them), so each equals a count over the log.
What is everybody's stands under the nil UUID.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, Index, Numeric, PrimaryKeyConstraint, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from services.activity.models import Base

EVERYBODY = UUID(int=0)
"""Under which stands what is counted over all users."""

# What is everybody's lies among what is its users': it is read from an index that holds all there is to read.
_EVERYBODYS = text("owner_id = '00000000-0000-0000-0000-000000000000'::uuid")
_OF_A_DAY = [
    "events", "sign_ins", "uploads", "jobs_created", "jobs_succeeded", "jobs_failed", "jobs_cancelled", "downloads",
    "model_samples", "reports_viewed", "searches", "judged", "quality_total",
]  # fmt: skip
_THERE = text("rank < 9 AND create_time IS NOT NULL")


def _count() -> MappedColumn[int]:
    return mapped_column(BigInteger)


class ActivityQuarter(Base):
    """What happened in a quarter of an hour."""

    __tablename__ = "activity_quarters"
    __table_args__ = (
        Index("ix_activity_quarters_everybodys", "quarter", postgresql_include=_OF_A_DAY, postgresql_where=_EVERYBODYS),
    )

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)  # whose, or EVERYBODY
    quarter: Mapped[datetime] = mapped_column(primary_key=True)  # its beginning
    events: Mapped[int] = _count()
    sign_ins: Mapped[int] = _count()
    uploads: Mapped[int] = _count()
    jobs_created: Mapped[int] = _count()
    jobs_succeeded: Mapped[int] = _count()
    jobs_failed: Mapped[int] = _count()
    jobs_cancelled: Mapped[int] = _count()
    downloads: Mapped[int] = _count()
    model_samples: Mapped[int] = _count()
    reports_viewed: Mapped[int] = _count()
    searches: Mapped[int] = _count()
    judged: Mapped[int] = _count()  # jobs that succeeded and whose table was judged
    quality_total: Mapped[Decimal] = mapped_column(Numeric)  # the sum of their scores


class FacetCount(Base):
    """How often something with some properties happened, in a quarter of an hour and, beside that, in a day of UTC."""

    __tablename__ = "facet_counts"
    __table_args__ = (
        PrimaryKeyConstraint(
            "owner_id", "span", "facet", "start", "label", postgresql_include=["count", "measured", "total"]
        ),
    )

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)  # whose, or EVERYBODY
    span: Mapped[str] = mapped_column(primary_key=True)  # quarter or day
    facet: Mapped[str] = mapped_column(primary_key=True)  # what is counted
    start: Mapped[datetime] = mapped_column(primary_key=True)  # of the quarter or the day
    label: Mapped[list[str]] = mapped_column(ARRAY(Text), primary_key=True)  # the properties
    count: Mapped[int] = _count()
    measured: Mapped[int] = _count()  # those that had a number
    total: Mapped[Decimal] = mapped_column(Numeric)  # the sum of their numbers


class UserActions(Base):
    """How much a user did in a quarter of an hour and, beside that, in a day of UTC."""

    __tablename__ = "user_actions"
    __table_args__ = (PrimaryKeyConstraint("span", "start", "user_id", postgresql_include=["count"]),)

    span: Mapped[str] = mapped_column(primary_key=True)  # quarter or day
    start: Mapped[datetime] = mapped_column(primary_key=True)  # of the quarter or the day
    user_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    count: Mapped[int] = _count()


class Standing(Base):
    """How far a dataset or a job has come, by all that its owner's records say of it."""

    __tablename__ = "standings"
    __table_args__ = (
        Index(
            "ix_standings_latest_of_owner",
            "owner_id", "object_type", "create_time", "object_id",
            postgresql_where=_THERE,
        ),
        Index("ix_standings_latest", "object_type", "create_time", "object_id", postgresql_where=_THERE),
    )  # fmt: skip

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    object_type: Mapped[str] = mapped_column(primary_key=True)  # dataset or job
    object_id: Mapped[str] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(SmallInteger)
    create_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    model_type: Mapped[str | None]
    rows: Mapped[Decimal | None] = mapped_column(Numeric)
    quality_score: Mapped[Decimal | None] = mapped_column(Numeric)


class StandingCount(Base):
    """How many datasets or jobs have come so far."""

    __tablename__ = "standing_counts"

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)  # whose, or EVERYBODY
    object_type: Mapped[str] = mapped_column(primary_key=True)  # dataset or job
    rank: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int] = _count()


class RequestCount(Base):
    """Requests for an RPC that ended in a quarter of an hour and, beside that, in a day of UTC."""

    __tablename__ = "request_counts"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)  # whose, or EVERYBODY
    span: Mapped[str] = mapped_column(primary_key=True)  # quarter or day
    start: Mapped[datetime] = mapped_column(primary_key=True)  # of the quarter or the day
    rpc: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int] = _count()
    errors: Mapped[int] = _count()
    failures: Mapped[int] = _count()
    request_bytes: Mapped[int] = _count()
    response_bytes: Mapped[int] = _count()
    microseconds: Mapped[int] = _count()


class RequestDuration(Base):
    """How many of those requests took how long."""

    __tablename__ = "request_durations"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)  # whose, or EVERYBODY
    span: Mapped[str] = mapped_column(primary_key=True)  # quarter or day
    start: Mapped[datetime] = mapped_column(primary_key=True)  # of the quarter or the day
    rpc: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int] = _count()


class InFlight(Base):
    """Requests that a process had under way when it told last."""

    __tablename__ = "requests_in_flight"

    process_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)  # whose; EVERYBODY for nobody's who is signed in
    rpc: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int] = _count()
    told_time: Mapped[datetime]


class RequestBatch(Base):
    """A message of counts that was added, so that it isn't added twice."""

    __tablename__ = "request_batches"

    batch_id: Mapped[UUID] = mapped_column(primary_key=True)
    stored_time: Mapped[datetime]
