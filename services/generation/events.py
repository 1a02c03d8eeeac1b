"""What happens to a job, as rows that are announced in the transaction that writes them."""

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.timestamps import utc_now
from services.generation.models import Job, JobEvent
from services.generation.states import ENDED

CHANNEL = "generation_job_events"
"""Announcements carry a job's id."""


class EventKind(StrEnum):
    """What kind of thing happened."""

    STATE = "state"
    PROGRESS = "progress"
    NOTICE = "notice"


async def record(
    session: AsyncSession, job: Job, kind: EventKind, message: str = "", scores: Mapping[str, float] | None = None
) -> None:
    """Writes how the job stands now as its next event, and announces it when the transaction commits.

    `scores` are those of rows that were drawn after the epoch it has come to.

    The caller holds the job's row lock (or has just made the row), so that numbers have no gaps.
    """
    job.last_seq += 1
    job.updated_at = utc_now()
    session.add(
        JobEvent(
            job_id=job.id,
            seq=job.last_seq,
            kind=kind,
            message=message,
            last=job.state in ENDED,
            state=job.state,
            progress=job.progress,
            stage=job.stage,
            epoch=job.epoch,
            epochs=job.epochs,
            losses=dict(job.losses),
            scores=dict(scores or {}),
            rows_sampled=job.rows_sampled,
            seconds_left=job.seconds_left,
            quality_score=job.quality_score,
            search=job.search,
            error_code=job.error_code,
            error_reason=job.error_reason,
            error_message=job.error_message,
            created_at=job.updated_at,
        )
    )
    await session.flush()
    await session.execute(select(func.pg_notify(CHANNEL, str(job.id))))
