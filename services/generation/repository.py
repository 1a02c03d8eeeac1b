"""Every query of the generation service. What is a user's is asked for by owner; lists go by key."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import queue
from servicekit.ids import first_id_at
from servicekit.loose_objects import LooseObjects
from servicekit.point_reads import PointReads
from servicekit.timestamps import utc_now
from services.generation.errors import JobNotFound, ModelNotFound
from services.generation.models import IdempotencyKey, Job, JobEvent, LooseObject, Model, StoredReport
from services.generation.states import AT_WORK, ENDED, JobState, Purpose

LOOSE_OBJECTS = LooseObjects(LooseObject)

# What an id's time and its row's may differ by.
_CLOCKS = timedelta(minutes=1)


class JobFilter(NamedTuple):
    """Which jobs a list shows; what is None doesn't matter."""

    owner_id: UUID | None
    state: JobState | None = None
    dataset_id: UUID | None = None
    since: datetime | None = None


async def find_job(session: AsyncSession, owner_id: UUID, job_id: UUID) -> Job:
    """An owner's job.

    Raises:
        JobNotFound: there is none, or it is somebody else's, or a trial.
    """
    return _found(await session.scalar(_owned(owner_id, job_id)), job_id)


_SHOWN = ", ".join(column.name for column in Job.__table__.columns if column.name not in {"column_specs", "details"})
_SHOW_JOB = f"SELECT {_SHOWN} FROM jobs WHERE id = $1 AND owner_id = $2 AND purpose = 'job'"  # noqa: S608 - our own names


async def show_job(reads: PointReads, owner_id: UUID, job_id: UUID) -> Job:
    """What callers see of an owner's job: no row of a session, and without the columns' specifications and details.

    Raises:
        JobNotFound: there is none, or it is somebody else's, or a trial.
        Unavailable: the database can't be reached.
    """
    row = await reads.row(_SHOW_JOB, job_id, owner_id)
    if row is None:
        raise JobNotFound(job_id)
    return Job(**{**row, "state": JobState(row["state"]), "purpose": Purpose(row["purpose"])})


async def lock_job(session: AsyncSession, owner_id: UUID, job_id: UUID) -> Job:
    """An owner's job, locked until the transaction ends.

    Raises:
        JobNotFound: there is none, or it is somebody else's.
    """
    query = _fresh(_owned(owner_id, job_id)).with_for_update()
    return _found(await session.scalar(query), job_id)


async def find_any_job(session: AsyncSession, job_id: UUID) -> Job | None:
    """Anybody's job or trial."""
    return await session.get(Job, job_id)


async def lock_any_job(session: AsyncSession, job_id: UUID) -> Job | None:
    """Anybody's job or trial, locked; for administrators and workers."""
    return await session.scalar(_fresh(select(Job).where(Job.id == job_id)).with_for_update())


async def lock_jobs_of_dataset(session: AsyncSession, owner_id: UUID, dataset_id: UUID) -> Sequence[Job]:
    """An owner's jobs and trials that learn, or learned, a dataset, locked."""
    query = select(Job).where(Job.dataset_id == dataset_id, Job.owner_id == owner_id).order_by(Job.id)
    return (await session.scalars(_fresh(query).with_for_update())).all()


async def page_jobs(session: AsyncSession, wanted: JobFilter, before: UUID | None, limit: int) -> Sequence[Job]:
    """Jobs, the newest first, from behind the one with the id `before`."""
    query = select(Job).where(Job.purpose == Purpose.JOB).order_by(Job.id.desc()).limit(limit)
    if wanted.owner_id is not None:
        query = query.where(Job.owner_id == wanted.owner_id)
    if wanted.state is not None:
        query = query.where(Job.state == wanted.state)
    if wanted.dataset_id is not None:
        query = query.where(Job.dataset_id == wanted.dataset_id)
    if wanted.since is not None:
        # Ids ascend with time, so the index ends the search where the rows begin that are too old.
        query = query.where(Job.created_at >= wanted.since, Job.id >= first_id_at(wanted.since - _CLOCKS))
    if before is not None:
        query = query.where(Job.id < before)
    return (await session.scalars(query)).all()


async def events_after(session: AsyncSession, job_id: UUID, seq: int, limit: int) -> Sequence[JobEvent]:
    """A job's events behind a number, in order."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > seq).order_by(JobEvent.seq).limit(limit)
    return (await session.scalars(query)).all()


async def count_for_workers(session: AsyncSession) -> int:
    """How many jobs and trials wait in the queue, or are with a worker that may be lost."""
    query = select(func.count()).where(Job.queue_id.is_not(None))
    return int(await session.scalar(query) or 0)


async def count_open(session: AsyncSession) -> dict[tuple[str, str, str], int]:
    """How many jobs and trials that haven't ended there are, by state, type of model and purpose."""
    keys = (Job.state, Job.model_type, Job.purpose)
    query = select(*keys, func.count()).where(Job.ended_at.is_(None)).group_by(*keys)
    rows = await session.execute(query)
    return {(state.value, model_type, purpose.value): count for state, model_type, purpose, count in rows}


async def job_exists(session: AsyncSession, job_id: UUID) -> bool:
    """Whether the job's row is still there."""
    return bool(await session.scalar(select(exists().where(Job.id == job_id))))


async def attempt_counts(session: AsyncSession, job_id: UUID, number: int) -> bool:
    """Whether this attempt at the job is the latest, and the job is at work."""
    query = select(exists().where(Job.id == job_id, Job.attempts == number, Job.state.in_(AT_WORK)))
    return bool(await session.scalar(query))


# Trials


async def serialise_study(session: AsyncSession, study_id: UUID) -> None:
    """Makes transactions that add trials to a study take turns from here to their commit."""
    key = func.hashtextextended(f"generation.study:{study_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def find_trial(session: AsyncSession, study_id: UUID, number: int) -> Job | None:
    """A study's trial."""
    return await session.scalar(select(Job).where(Job.study_id == study_id, Job.trial_number == number))


async def lock_trial(session: AsyncSession, study_id: UUID, number: int) -> Job | None:
    """A study's trial, locked until the transaction ends."""
    query = select(Job).where(Job.study_id == study_id, Job.trial_number == number)
    return await session.scalar(_fresh(query).with_for_update())


async def lock_trials(session: AsyncSession, study_id: UUID) -> Sequence[Job]:
    """A study's trials, locked, in order."""
    query = select(Job).where(Job.study_id == study_id, Job.purpose == Purpose.TRIAL).order_by(Job.id)
    return (await session.scalars(_fresh(query).with_for_update())).all()


async def studies_of_trials_ended_before(session: AsyncSession, time: datetime, limit: int) -> Sequence[UUID]:
    """Studies whose trials all ended before a time; those whose models are kept aside."""
    kept = exists().where(Model.id == Job.model_id, Model.hidden.is_(False))
    query = (
        select(Job.study_id)
        .where(Job.purpose == Purpose.TRIAL, ~kept)
        .group_by(Job.study_id)
        .having(func.bool_and(Job.state.in_(ENDED)), func.max(Job.ended_at) < time)
        .limit(limit)
    )
    return [study_id for study_id in await session.scalars(query) if study_id is not None]


# Quality


async def find_report(session: AsyncSession, job_id: UUID) -> StoredReport | None:
    """How good a job's or a trial's table is; None if that wasn't judged."""
    return await session.get(StoredReport, job_id)


async def forget_reports(session: AsyncSession, older_than: datetime) -> None:
    """Deletes reports that were made before a time."""
    await session.execute(delete(StoredReport).where(StoredReport.created_at < older_than))


# Dispatch


async def count_dispatched(session: AsyncSession, owner_id: UUID, purpose: Purpose) -> int:
    """How many of the owner's jobs of a purpose are in the queue or with a worker."""
    query = select(func.count()).select_from(Job)
    query = query.where(Job.owner_id == owner_id, Job.purpose == purpose, Job.queue_id.is_not(None))
    return await session.scalar(query) or 0


async def lock_waiting(session: AsyncSession, owner_id: UUID, purpose: Purpose, limit: int) -> Sequence[Job]:
    """The owner's oldest jobs that wait to be dispatched, locked; one that is just being cancelled is passed over."""
    query = (
        select(Job)
        .where(Job.owner_id == owner_id, Job.purpose == purpose, Job.state == JobState.QUEUED, Job.queue_id.is_(None))
        .order_by(Job.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.scalars(_fresh(query))).all()


async def owners_waiting(session: AsyncSession) -> Sequence[tuple[UUID, Purpose]]:
    """Owners of jobs that wait to be dispatched, with the jobs' purposes."""
    query = select(Job.owner_id, Job.purpose).where(Job.state == JobState.QUEUED, Job.queue_id.is_(None)).distinct()
    return [(owner_id, purpose) for owner_id, purpose in await session.execute(query)]


async def jobs_lost_by_queue(session: AsyncSession) -> Sequence[UUID]:
    """Jobs that name a row of the queue that isn't there."""
    query = select(Job.id).where(Job.queue_id.is_not(None), ~exists().where(queue.ROWS.c.id == Job.queue_id))
    return (await session.scalars(query)).all()


async def count_searches(session: AsyncSession, owner_id: UUID) -> int:
    """How many of the owner's jobs are searched for; the owner's transactions that ask take turns to their commit."""
    key = func.hashtextextended(f"generation.searches:{owner_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))
    query = select(func.count()).where(Job.owner_id == owner_id, Job.state == JobState.OPTIMIZING)
    return await session.scalar(query) or 0


async def searches_lost_by_queue(session: AsyncSession) -> Sequence[UUID]:
    """Jobs that are searched for and name no row of the queue that is there."""
    there = exists().where(queue.ROWS.c.id == Job.search_queue_id)
    query = select(Job.id).where(Job.state == JobState.OPTIMIZING, ~there)
    return (await session.scalars(query)).all()


async def search_counts(session: AsyncSession, job_id: UUID, queue_id: int) -> bool:
    """Whether the job is still searched for, by whoever has this row of the queue."""
    query = select(exists().where(Job.id == job_id, Job.search_queue_id == queue_id, Job.state == JobState.OPTIMIZING))
    return bool(await session.scalar(query))


# Models


async def find_model(session: AsyncSession, owner_id: UUID, model_id: UUID) -> Model:
    """An owner's model.

    Raises:
        ModelNotFound: there is none, or it is somebody else's.
    """
    return await _one_model(session, _shown_model(owner_id, model_id), model_id)


async def lock_model(session: AsyncSession, owner_id: UUID, model_id: UUID) -> Model:
    """An owner's model, locked until the transaction ends.

    Raises:
        ModelNotFound: there is none, or it is somebody else's.
    """
    return await _one_model(session, _shown_model(owner_id, model_id).with_for_update(), model_id)


async def lock_any_model(session: AsyncSession, model_id: UUID) -> Model | None:
    """Anybody's model, hidden or not, locked until the transaction ends."""
    return await session.get(Model, model_id, with_for_update=True, populate_existing=True)


async def lock_models_of_study(session: AsyncSession, study_id: UUID) -> Sequence[Model]:
    """Models of a study's trials, locked."""
    of_study = select(Job.model_id).where(Job.study_id == study_id, Job.purpose == Purpose.TRIAL)
    query = select(Model).where(Model.id.in_(of_study)).order_by(Model.id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


def _shown_model(owner_id: UUID, model_id: UUID) -> Select[Model]:
    return select(Model).where(Model.id == model_id, Model.owner_id == owner_id, Model.hidden.is_(False))


async def _one_model(session: AsyncSession, query: Select[Model], model_id: UUID) -> Model:
    model = await session.scalar(query)
    if model is None:
        raise ModelNotFound(model_id)
    return model


async def page_models(
    session: AsyncSession, owner_id: UUID, dataset_id: UUID | None, before: UUID | None, limit: int
) -> Sequence[Model]:
    """An owner's models, the newest first, from behind the one with the id `before`."""
    query = select(Model).where(Model.owner_id == owner_id, Model.hidden.is_(False))
    query = query.order_by(Model.id.desc()).limit(limit)
    if dataset_id is not None:
        query = query.where(Model.dataset_id == dataset_id)
    if before is not None:
        query = query.where(Model.id < before)
    return (await session.scalars(query)).all()


async def lock_models_of_dataset(session: AsyncSession, owner_id: UUID, dataset_id: UUID) -> Sequence[Model]:
    """An owner's models that were fitted on a dataset, locked."""
    query = select(Model).where(Model.dataset_id == dataset_id, Model.owner_id == owner_id).order_by(Model.id)
    return (await session.scalars(query.with_for_update())).all()


async def count_dependents(session: AsyncSession, owner_id: UUID, dataset_id: UUID) -> tuple[int, int]:
    """How many of an owner's jobs and models hang on a dataset; those of searches aside, which nobody sees."""
    jobs = await session.scalar(
        select(func.count())
        .select_from(Job)
        .where(Job.dataset_id == dataset_id, Job.owner_id == owner_id, Job.purpose == Purpose.JOB)
    )
    models = await session.scalar(
        select(func.count())
        .select_from(Model)
        .where(Model.dataset_id == dataset_id, Model.owner_id == owner_id, Model.hidden.is_(False))
    )
    return jobs or 0, models or 0


# What has been kept for long enough


async def lock_tables_made_before(session: AsyncSession, time: datetime, limit: int) -> Sequence[Job]:
    """Jobs with a table that ended before a time, locked; those that somebody else has locked come the next time."""
    query = select(Job).where(Job.table_key.is_not(None), Job.ended_at < time).order_by(Job.id).limit(limit)
    return (await session.scalars(query.with_for_update(skip_locked=True))).all()


async def lock_models_made_before(session: AsyncSession, time: datetime, limit: int) -> Sequence[Model]:
    """Models that became their owners' before a time, locked; those that somebody else has locked come the next time.

    A search's own aren't among them: they go when it has ended.
    """
    query = select(Model).where(Model.created_at < time, ~Model.hidden).order_by(Model.id).limit(limit)
    return (await session.scalars(query.with_for_update(skip_locked=True))).all()


# Idempotency


async def find_key(session: AsyncSession, owner_id: UUID, key: str) -> IdempotencyKey | None:
    """What an owner's idempotency key stands for."""
    return await session.get(IdempotencyKey, (owner_id, key))


async def claim_key(session: AsyncSession, owner_id: UUID, key: str, fingerprint: str, job_id: UUID) -> bool:
    """Writes down what a key stands for; False if it stands for something already.

    Waits for another transaction that is just writing the same key down.
    """
    statement = (
        insert(IdempotencyKey)
        .values(owner_id=owner_id, key=key, fingerprint=fingerprint, job_id=job_id, created_at=utc_now())
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    return await session.scalar(statement) is not None


async def forget_keys(session: AsyncSession, older_than: timedelta) -> None:
    """Forgets old idempotency keys."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < utc_now() - older_than))


# Deleting


async def delete_job(session: AsyncSession, job: Job) -> None:
    """Deletes a job with its events; its table's object is due for removal."""
    if job.table_key:
        await LOOSE_OBJECTS.loosen(session, [job.table_key], utc_now())
    await session.execute(delete(Job).where(Job.id == job.id))
    session.expunge(job)


async def delete_model(session: AsyncSession, model: Model) -> None:
    """Deletes a model; its object is due for removal."""
    await LOOSE_OBJECTS.loosen(session, [model.object_key], utc_now())
    await session.execute(update(Job).where(Job.model_id == model.id).values(model_id=None))
    await session.execute(delete(Model).where(Model.id == model.id))


def _found(job: Job | None, job_id: UUID) -> Job:
    if job is None:
        raise JobNotFound(job_id)
    return job


def _owned(owner_id: UUID, job_id: UUID) -> Select[Job]:
    return select(Job).where(Job.id == job_id, Job.owner_id == owner_id, Job.purpose == Purpose.JOB)


def _fresh(query: Select[Job]) -> Select[Job]:
    """What was read before the lock was held is read again."""
    return query.execution_options(populate_existing=True)
