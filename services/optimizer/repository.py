"""Every query of the optimizer service. What is a user's is asked for by owner; lists go by key."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import queue
from servicekit.timestamps import utc_now
from services.optimizer.errors import StudyNotFound
from services.optimizer.models import IdempotencyKey, Study, StudyEvent, Trial
from services.optimizer.states import STUDY_ENDED, TRIAL_ENDED, StudyState, TrialState


class StudyFilter(NamedTuple):
    """Which studies a list shows; what is None doesn't matter."""

    owner_id: UUID
    state: StudyState | None = None
    dataset_id: UUID | None = None


async def find_study(session: AsyncSession, owner_id: UUID, study_id: UUID) -> Study:
    """An owner's study.

    Raises:
        StudyNotFound: there is none, or it is somebody else's.
    """
    return _found(await session.scalar(select(Study).where(Study.id == study_id, Study.owner_id == owner_id)), study_id)


async def find_any_study(session: AsyncSession, study_id: UUID) -> Study:
    """Anybody's study, for other services.

    Raises:
        StudyNotFound: there is none.
    """
    return _found(await session.scalar(select(Study).where(Study.id == study_id)), study_id)


async def find_study_of_job(session: AsyncSession, job_id: UUID) -> Study | None:
    """The study that a job has ordered."""
    return await session.scalar(select(Study).where(Study.job_id == job_id))


async def lock_study(session: AsyncSession, owner_id: UUID, study_id: UUID) -> Study:
    """An owner's study, locked until the transaction ends.

    Raises:
        StudyNotFound: there is none, or it is somebody else's.
    """
    query = _fresh(select(Study).where(Study.id == study_id, Study.owner_id == owner_id)).with_for_update()
    return _found(await session.scalar(query), study_id)


async def lock_any_study(session: AsyncSession, study_id: UUID) -> Study | None:
    """Anybody's study, locked."""
    return await session.scalar(_fresh(select(Study).where(Study.id == study_id)).with_for_update())


async def lock_studies_of_dataset(session: AsyncSession, owner_id: UUID, dataset_id: UUID) -> Sequence[Study]:
    """An owner's studies of a dataset, locked."""
    query = select(Study).where(Study.dataset_id == dataset_id, Study.owner_id == owner_id).order_by(Study.id)
    return (await session.scalars(_fresh(query).with_for_update())).all()


async def lock_studies_of(session: AsyncSession, owner_id: UUID, limit: int) -> Sequence[Study]:
    """Some of an owner's studies, locked."""
    query = select(Study).where(Study.owner_id == owner_id).order_by(Study.id).limit(limit)
    return (await session.scalars(_fresh(query).with_for_update())).all()


async def forget_keys_of(session: AsyncSession, owner_id: UUID) -> None:
    """Forgets an owner's idempotency keys."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.owner_id == owner_id))


async def count_studies_of_dataset(session: AsyncSession, owner_id: UUID, dataset_id: UUID) -> int:
    """How many of an owner's studies hang on a dataset."""
    query = select(func.count()).select_from(Study).where(Study.dataset_id == dataset_id, Study.owner_id == owner_id)
    return await session.scalar(query) or 0


async def page_studies(session: AsyncSession, wanted: StudyFilter, before: UUID | None, limit: int) -> Sequence[Study]:
    """Studies, the newest first, from behind the one with the id `before`."""
    query = select(Study).where(Study.owner_id == wanted.owner_id).order_by(Study.id.desc()).limit(limit)
    if wanted.state is not None:
        query = query.where(Study.state == wanted.state)
    if wanted.dataset_id is not None:
        query = query.where(Study.dataset_id == wanted.dataset_id)
    if before is not None:
        query = query.where(Study.id < before)
    return (await session.scalars(query)).all()


async def count_studies_at_work(session: AsyncSession, owner_id: UUID) -> int:
    """How many of an owner's studies wait or run; the owner's transactions that ask take turns to their commit."""
    key = func.hashtextextended(f"optimizer.studies:{owner_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))
    query = select(func.count()).where(
        Study.owner_id == owner_id, Study.queue_id.is_not(None), Study.state.not_in(STUDY_ENDED)
    )
    return await session.scalar(query) or 0


async def count_open_studies(session: AsyncSession) -> dict[StudyState, int]:
    """How many studies that somebody drives, or is to, there are by state."""
    query = select(Study.state, func.count()).where(Study.queue_id.is_not(None)).group_by(Study.state)
    rows = await session.execute(query)
    return {row[0]: row[1] for row in rows}


async def count_open_trials(session: AsyncSession) -> dict[TrialState, int]:
    """How many trials of these studies there are by state."""
    joined = select(Trial.state, func.count()).join(Study, Study.id == Trial.study_id)
    query = joined.where(Study.queue_id.is_not(None)).group_by(Trial.state)
    rows = await session.execute(query)
    return {row[0]: row[1] for row in rows}


async def best_trials(session: AsyncSession, studies: Sequence[Study]) -> dict[UUID, Trial]:
    """The best trials so far of some studies, by study."""
    query = (
        select(Trial)
        .join(Study, (Study.id == Trial.study_id) & (Study.best_number == Trial.number))
        .where(Study.id.in_([study.id for study in studies]))
    )
    return {trial.study_id: trial for trial in (await session.scalars(query)).all()}


async def study_exists(session: AsyncSession, study_id: UUID) -> bool:
    """Whether the study's row is still there."""
    return bool(await session.scalar(select(exists().where(Study.id == study_id))))


async def attempt_counts(session: AsyncSession, study_id: UUID, number: int) -> bool:
    """Whether this attempt at the study is the latest, and something of it is left to do."""
    query = select(exists().where(Study.id == study_id, Study.attempts == number, Study.queue_id.is_not(None)))
    return bool(await session.scalar(query))


async def state_of(session: AsyncSession, study_id: UUID) -> StudyState | None:
    """Where a study stands; None if it was deleted."""
    return await session.scalar(select(Study.state).where(Study.id == study_id))


async def delete_study(session: AsyncSession, study: Study) -> None:
    """Deletes a study with its trials and events."""
    await session.execute(delete(Study).where(Study.id == study.id))
    session.expunge(study)


# Trials


async def trials_of(session: AsyncSession, study_id: UUID) -> Sequence[Trial]:
    """All trials of a study, by number."""
    return (await session.scalars(select(Trial).where(Trial.study_id == study_id).order_by(Trial.number))).all()


async def page_trials(
    session: AsyncSession, study_id: UUID, state: TrialState | None, after: int, limit: int
) -> Sequence[Trial]:
    """Trials of a study by number, from behind the number `after`."""
    query = select(Trial).where(Trial.study_id == study_id, Trial.number > after).order_by(Trial.number).limit(limit)
    if state is not None:
        query = query.where(Trial.state == state)
    return (await session.scalars(query)).all()


async def find_trial(session: AsyncSession, study_id: UUID, number: int) -> Trial | None:
    """One trial of a study."""
    return await session.get(Trial, (study_id, number))


async def fresh_trial(session: AsyncSession, study_id: UUID, number: int) -> Trial:
    """One trial of a study that must have it, as it stands now."""
    return await session.get_one(Trial, (study_id, number), populate_existing=True)


async def running_trials(session: AsyncSession, study_id: UUID) -> Sequence[Trial]:
    """The trials of a study that haven't ended, by number."""
    query = select(Trial).where(Trial.study_id == study_id, Trial.state.not_in(TRIAL_ENDED)).order_by(Trial.number)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


# Events


async def events_after(session: AsyncSession, study_id: UUID, seq: int, limit: int) -> Sequence[StudyEvent]:
    """A study's events behind a number, in order."""
    query = (
        select(StudyEvent)
        .where(StudyEvent.study_id == study_id, StudyEvent.seq > seq)
        .order_by(StudyEvent.seq)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


# The queue


async def studies_lost_by_queue(session: AsyncSession) -> Sequence[UUID]:
    """Studies that name a row of the queue that isn't there."""
    query = select(Study.id).where(Study.queue_id.is_not(None), ~exists().where(queue.ROWS.c.id == Study.queue_id))
    return (await session.scalars(query)).all()


# Idempotency


async def find_key(session: AsyncSession, owner_id: UUID, key: str) -> IdempotencyKey | None:
    """What an owner's idempotency key stands for."""
    return await session.get(IdempotencyKey, (owner_id, key))


async def claim_key(session: AsyncSession, owner_id: UUID, key: str, fingerprint: str, study_id: UUID) -> bool:
    """Writes down what a key stands for; False if it stands for something already.

    Waits for another transaction that is just writing the same key down.
    """
    statement = (
        insert(IdempotencyKey)
        .values(owner_id=owner_id, key=key, fingerprint=fingerprint, study_id=study_id, created_at=utc_now())
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    return await session.scalar(statement) is not None


async def lock_order(session: AsyncSession, job_id: UUID) -> None:
    """Makes the orders of one job take turns until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"optimizer.order:{job_id}", 0))))


async def forget_keys(session: AsyncSession, older_than: timedelta) -> None:
    """Forgets old idempotency keys."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < utc_now() - older_than))


def _found(study: Study | None, study_id: UUID) -> Study:
    if study is None:
        raise StudyNotFound(study_id)
    return study


def _fresh(query: Select[Study]) -> Select[Study]:
    """What was read before the lock was held is read again."""
    return query.execution_options(populate_existing=True)
