"""What a worker does with a job: one attempt, from the claim to the end.

Between a worker's words a job may be cancelled, deleted, or given to another worker because this one was silent for too
long. So every word is spoken with the job's row locked and only counts while the attempt is still the job's own.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.attending import Superseded
from servicekit.failures import Failure
from servicekit.ids import new_id
from servicekit.timestamps import utc_now
from services.generation import dispatch, events, repository
from services.generation.dispatch import Dispatcher
from services.generation.engines.protocol import Progress, Stage
from services.generation.events import EventKind
from services.generation.judgement import Judgement
from services.generation.models import Job, Model, StoredReport
from services.generation.repository import LOOSE_OBJECTS
from services.generation.states import AT_WORK, ENDED, JobState, Purpose
from services.generation.transitions import move


class Attempt(NamedTuple):
    """One worker's go at a job."""

    job_id: UUID
    number: int  # from 1


@dataclass(frozen=True)
class Result:
    """What an attempt made, stored in the object store already; of a trial's table nothing is."""

    table_key: str | None
    table_sha256: str
    table_bytes: int
    rows: int
    model_key: str
    model_sha256: str
    model_bytes: int
    training_rows: int
    training_seconds: float
    columns: tuple[str, ...]
    details: dict[str, Any]
    judgement: Judgement
    protection_key: bytes | None = field(default=None, repr=False)


_STATES = {
    Stage.PREPARING: JobState.PREPARING,
    Stage.TRAINING: JobState.TRAINING,
    Stage.SAMPLING: JobState.SAMPLING,
    Stage.EVALUATING: JobState.EVALUATING,
}


async def claim(
    session: AsyncSession, dispatcher: Dispatcher, job_id: UUID, queue_id: int, max_workers_lost: int
) -> Job | None:
    """Takes a job up that the queue has given to this worker; None if there is nothing to do.

    There is nothing to do for a job that has ended, was deleted, or has another row in the queue by now, and for one
    that has cost `max_workers_lost` workers their life: it fails.
    """
    job = await repository.lock_any_job(session, job_id)
    if job is None or job.queue_id != queue_id or job.state in ENDED:
        return None
    if job.state in AT_WORK:
        job.workers_lost += 1
        if job.workers_lost >= max_workers_lost:
            message = f"{job.workers_lost} workers were lost while they had this job; it isn't tried again."
            await move(
                session, dispatcher, job, JobState.FAILED, failure=Failure(StatusCode.ABORTED, "WORKER_LOST", message)
            )
            return None
        await move(session, dispatcher, job, JobState.QUEUED, message="The worker was lost; another starts over")
    job.attempts += 1
    job.started_at = job.started_at or utc_now()
    again = f"Attempt {job.attempts}" if job.attempts > 1 else ""
    await move(session, dispatcher, job, JobState.PREPARING, message=again)
    return job


async def report(session: AsyncSession, dispatcher: Dispatcher, attempt: Attempt, progress: Progress) -> None:
    """Writes down how far the work is, and moves the job to the stage it has come to.

    Raises:
        Superseded: the attempt counts no more.
    """
    job = await _lock(session, attempt)
    job.progress = round(progress.fraction, 4)
    if progress.epochs:  # while rows are drawn the epochs stay as they were at the end of the training
        job.epoch, job.epochs, job.losses = progress.epoch, progress.epochs, dict(progress.losses)
    job.rows_sampled = progress.rows_sampled
    job.seconds_left = None if progress.seconds_left is None else round(progress.seconds_left, 1)
    if not await _advance(session, dispatcher, job, _STATES[progress.stage]) or progress.scores:
        await events.record(session, job, EventKind.PROGRESS, scores=progress.scores)


async def reserve(session: AsyncSession, attempt: Attempt, keys: list[str], due_at: datetime) -> None:
    """Marks what is about to be uploaded for removal, unless the attempt succeeds in time.

    Raises:
        Superseded: the attempt counts no more.
    """
    await _lock(session, attempt)
    await LOOSE_OBJECTS.loosen(session, keys, due_at)


async def succeed(session: AsyncSession, dispatcher: Dispatcher, attempt: Attempt, result: Result) -> None:
    """Ends the job well: its table, its model's row, its last event.

    Raises:
        Superseded: the attempt counts no more.
    """
    job = await _lock(session, attempt)
    await _advance(session, dispatcher, job, JobState.EVALUATING)
    model = Model(
        id=new_id(),
        owner_id=job.owner_id,
        name=job.name,
        job_id=job.id,
        dataset_id=job.dataset_id,
        dataset_version=job.dataset_version,
        engine=job.engine,
        model_type=job.model_type,
        parameters=job.parameters,
        seed=job.seed,
        training_row_count=result.training_rows,
        training_seconds=result.training_seconds,
        column_names=list(result.columns),
        personal_data=job.personal_data,
        protection_key=result.protection_key,
        object_key=result.model_key,
        object_bytes=result.model_bytes,
        object_sha256=result.model_sha256,
        hidden=job.purpose is Purpose.TRIAL,
        approved_rows=job.sample_size if job.approved else None,
        created_at=utc_now(),
    )
    session.add(model)
    await session.flush()
    job.model_id = model.id
    if result.table_key is not None:
        job.table_key, job.table_sha256, job.table_bytes = result.table_key, result.table_sha256, result.table_bytes
    job.rows_sampled = result.rows
    job.details = result.details
    judgement = result.judgement
    job.quality_score, job.quality_problem = judgement.score, judgement.problem
    if judgement.document is not None:
        session.add(StoredReport(job_id=job.id, document=judgement.document, created_at=utc_now()))
    await LOOSE_OBJECTS.fasten(session, [key for key in (result.table_key, result.model_key) if key is not None])
    unmeasured = f"The table's quality couldn't be measured: {judgement.problem}" if judgement.problem else ""
    await move(session, dispatcher, job, JobState.SUCCEEDED, message=unmeasured)


async def fail(session: AsyncSession, dispatcher: Dispatcher, attempt: Attempt, failure: Failure) -> None:
    """Ends the job badly.

    Raises:
        Superseded: the attempt counts no more.
    """
    job = await _lock(session, attempt)
    await move(session, dispatcher, job, JobState.FAILED, failure=failure)


async def give_back(session: AsyncSession, dispatcher: Dispatcher, attempt: Attempt) -> None:
    """Puts the job back into the queue, before those that were never begun, because the worker stops.

    It isn't counted against the job.

    Raises:
        Superseded: the attempt counts no more.
    """
    job = await _lock(session, attempt)
    await dispatch.enqueue(session, job)
    await move(session, dispatcher, job, JobState.QUEUED, message="The worker stops; another starts over")


async def _advance(session: AsyncSession, dispatcher: Dispatcher, job: Job, wanted: JobState) -> bool:
    """Moves the job forward to a state, through those in between; False if it stands there, or further on."""
    order = list(_STATES.values())
    steps = order[order.index(job.state) + 1 : order.index(wanted) + 1]
    for state in steps:
        await move(session, dispatcher, job, state)
    return bool(steps)


async def _lock(session: AsyncSession, attempt: Attempt) -> Job:
    job = await repository.lock_any_job(session, attempt.job_id)
    if job is None or job.attempts != attempt.number or job.state not in AT_WORK:
        raise Superseded
    return job
