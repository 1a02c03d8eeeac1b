"""Every query of the dataset service. What is a user's is asked for by owner or reader; lists go by key."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, cast, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import JSONPATH, insert
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import queue
from servicekit.timestamps import utc_now
from services.dataset.errors import DatasetNotFound, DatasetNotReady, NotTheOwner, VersionNotFound
from services.dataset.models import Dataset, DatasetEvent, Document, IdempotencyKey, Version
from services.dataset.states import State, Visibility

LARGEST_NUMBER = 2**31 - 1
"""That a version can have: what the database's integer holds."""


class View(NamedTuple):
    """A dataset with one of its versions: the latest where nothing else is said."""

    dataset: Dataset
    version: Version


class DatasetFilter(NamedTuple):
    """Which datasets a list shows, to whom; what is None or empty doesn't matter."""

    reader_id: UUID
    visibility: Visibility | None = None  # public: everybody's; private: the reader's own private ones
    state: State | None = None
    text: str = ""


# Datasets


async def find_readable(session: AsyncSession, reader_id: UUID, dataset_id: UUID) -> View:
    """A dataset that somebody may read, with its latest version.

    Raises:
        DatasetNotFound: there is none, or it is somebody else's and private.
    """
    query = _with_latest().where(Dataset.id == dataset_id, _readable_by(reader_id))
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise DatasetNotFound(dataset_id)
    return View(*row)


async def find_own(session: AsyncSession, owner_id: UUID, dataset_id: UUID) -> View:
    """An owner's dataset with its latest version.

    Raises:
        DatasetNotFound: there is none, or it is somebody else's and private.
        NotTheOwner: it is somebody else's and public.
    """
    view = await find_readable(session, owner_id, dataset_id)
    if view.dataset.owner_id != owner_id:
        raise NotTheOwner(dataset_id)
    return view


async def lock_own(session: AsyncSession, owner_id: UUID, dataset_id: UUID) -> Dataset:
    """An owner's dataset, locked until the transaction ends.

    Raises:
        DatasetNotFound: there is none, or it is somebody else's and private.
        NotTheOwner: it is somebody else's and public.
    """
    query = select(Dataset).where(Dataset.id == dataset_id, _readable_by(owner_id))
    dataset = await session.scalar(_fresh(query).with_for_update())
    if dataset is None:
        raise DatasetNotFound(dataset_id)
    if dataset.owner_id != owner_id:
        raise NotTheOwner(dataset_id)
    return dataset


async def lock_all_of(session: AsyncSession, owner_id: UUID, limit: int) -> Sequence[Dataset]:
    """Some of an owner's datasets, locked until the transaction ends."""
    query = select(Dataset).where(Dataset.owner_id == owner_id).order_by(Dataset.id).limit(limit)
    return (await session.scalars(_fresh(query).with_for_update())).all()


async def lock_any(session: AsyncSession, dataset_id: UUID, number: int) -> View | None:
    """Anybody's dataset, locked, with a version of it; for reading files in. None if one of the two is gone."""
    dataset = await session.scalar(_fresh(select(Dataset).where(Dataset.id == dataset_id)).with_for_update())
    version = await get_version(session, dataset_id, number)
    return View(dataset, version) if dataset and version else None


async def page_datasets(session: AsyncSession, wanted: DatasetFilter, before: UUID | None, limit: int) -> list[View]:
    """Datasets with their latest versions, the newest first, from behind the one with the id `before`."""
    query = _with_latest().order_by(Dataset.id.desc()).limit(limit)
    if wanted.visibility is Visibility.PUBLIC:
        query = query.where(Dataset.visibility == Visibility.PUBLIC)
    else:
        query = query.where(Dataset.owner_id == wanted.reader_id)
    if wanted.visibility is Visibility.PRIVATE:
        query = query.where(Dataset.visibility == Visibility.PRIVATE)
    if wanted.state is not None:
        query = query.where(Version.state == wanted.state)
    if wanted.text:
        query = query.where(Dataset.name.icontains(wanted.text, autoescape=True))
    if before is not None:
        query = query.where(Dataset.id < before)
    return [View(*row) for row in await session.execute(query)]


async def get_dataset(session: AsyncSession, dataset_id: UUID) -> Dataset | None:
    """Anybody's dataset as it is now; None if there is none."""
    return await session.get(Dataset, dataset_id, populate_existing=True)


async def dataset_exists(session: AsyncSession, dataset_id: UUID) -> bool:
    """Whether the dataset's row is still there."""
    return bool(await session.scalar(select(exists().where(Dataset.id == dataset_id))))


async def delete_dataset(session: AsyncSession, dataset: Dataset) -> None:
    """Deletes a locked dataset's rows, those of its versions and events included."""
    await session.execute(delete(Dataset).where(Dataset.id == dataset.id))
    session.expunge_all()


# Versions


async def get_version(session: AsyncSession, dataset_id: UUID, number: int) -> Version | None:
    """A version as it is now; None if there is none."""
    if number > LARGEST_NUMBER:
        return None
    return await session.get(Version, (dataset_id, number), populate_existing=True)


async def find_ready(session: AsyncSession, dataset_id: UUID, number: int) -> Version:
    """A version that has a table; for the number 0 the latest that has one.

    Raises:
        VersionNotFound: there is no such version.
        DatasetNotReady: it has no table, or for 0 none has.
    """
    if number:
        version = await get_version(session, dataset_id, number)
        if version is None:
            raise VersionNotFound(dataset_id, number)
    else:
        version = await latest_ready(session, dataset_id)
    if version is None or version.state is not State.READY:
        state = version.state if version else await _latest_state(session, dataset_id)
        raise DatasetNotReady(dataset_id, state)
    return version


async def column_facts(session: AsyncSession, version: Version) -> Sequence[tuple[float, float]]:
    """Different and missing values of each column, in order; none where there is no profile."""
    counts = [
        func.jsonb_path_query_array(Version.profile, cast(f"$.columns[*].{name}", JSONPATH))
        for name in ("distinct_count", "missing_count")
    ]
    query = select(*counts).where(Version.dataset_id == version.dataset_id, Version.number == version.number)
    distinct, missing = (await session.execute(query)).one()
    return list(zip(distinct or (), missing or (), strict=True))


async def latest_ready(session: AsyncSession, dataset_id: UUID, before: int | None = None) -> Version | None:
    """The latest version that has a table, of those before a number if one is given; None if none has."""
    query = select(Version).where(Version.dataset_id == dataset_id, Version.state == State.READY)
    if before is not None:
        query = query.where(Version.number < before)
    return await session.scalar(query.order_by(Version.number.desc()).limit(1))


async def ready_versions(session: AsyncSession, dataset_id: UUID) -> Sequence[Version]:
    """Every version of a dataset that has a table, the oldest first."""
    query = select(Version).where(Version.dataset_id == dataset_id, Version.state == State.READY)
    return (await session.scalars(query.order_by(Version.number))).all()


async def profile_of(session: AsyncSession, version: Version) -> Document:
    """A ready version's profile."""
    query = select(Version.profile).where(Version.dataset_id == version.dataset_id, Version.number == version.number)
    return await session.scalar(query) or {}


async def page_versions(session: AsyncSession, dataset_id: UUID, before: int | None, limit: int) -> Sequence[Version]:
    """A dataset's versions, the newest first, from behind the one with the number `before`."""
    query = select(Version).where(Version.dataset_id == dataset_id).order_by(Version.number.desc()).limit(limit)
    if before is not None:
        query = query.where(Version.number < before)
    return (await session.scalars(query)).all()


async def delete_version(session: AsyncSession, dataset: Dataset, version: Version) -> None:
    """Deletes a version of a locked dataset that has others."""
    await session.execute(
        delete(Version).where(Version.dataset_id == version.dataset_id, Version.number == version.number)
    )
    session.expunge(version)
    numbers = select(Version.number).where(Version.dataset_id == dataset.id).order_by(Version.number.desc()).limit(1)
    dataset.latest_version = await session.scalar(numbers) or dataset.latest_version


async def object_keys(session: AsyncSession, dataset_id: UUID) -> list[str]:
    """The keys of every object of a dataset; versions may have a file in common."""
    query = select(Version.source_key, Version.table_key).where(Version.dataset_id == dataset_id)
    return list(dict.fromkeys(key for row in await session.execute(query) for key in row if key))


async def is_busy(session: AsyncSession, dataset_id: UUID) -> bool:
    """Whether a version of the dataset is being read in."""
    query = select(exists().where(Version.dataset_id == dataset_id, Version.state == State.PROCESSING))
    return bool(await session.scalar(query))


async def attempt_counts(session: AsyncSession, dataset_id: UUID, number: int, attempt: int) -> bool:
    """Whether this attempt at reading a version in is the latest, and still goes on."""
    found = exists().where(
        Version.dataset_id == dataset_id,
        Version.number == number,
        Version.attempts == attempt,
        Version.state == State.PROCESSING,
        Version.at_work,
    )
    return bool(await session.scalar(select(found)))


async def versions_lost_by_queue(session: AsyncSession) -> Sequence[tuple[UUID, int]]:
    """Versions that wait for a row of the queue that isn't there."""
    query = select(Version.dataset_id, Version.number).where(
        Version.queue_id.is_not(None), ~exists().where(queue.ROWS.c.id == Version.queue_id)
    )
    return [(dataset_id, number) for dataset_id, number in await session.execute(query)]


# Events


async def events_after(session: AsyncSession, dataset_id: UUID, seq: int, limit: int) -> Sequence[DatasetEvent]:
    """A dataset's events behind a number, in order."""
    query = (
        select(DatasetEvent)
        .where(DatasetEvent.dataset_id == dataset_id, DatasetEvent.seq > seq)
        .order_by(DatasetEvent.seq)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


# Idempotency


async def find_key(session: AsyncSession, owner_id: UUID, key: str) -> IdempotencyKey | None:
    """What an owner's idempotency key stands for."""
    return await session.get(IdempotencyKey, (owner_id, key))


async def claim_key(session: AsyncSession, claim: IdempotencyKey) -> bool:
    """Writes down what a key stands for; False if it stands for something already.

    Waits for another transaction that is just writing the same key down.
    """
    statement = (
        insert(IdempotencyKey)
        .values(
            owner_id=claim.owner_id,
            key=claim.key,
            fingerprint=claim.fingerprint,
            dataset_id=claim.dataset_id,
            version=claim.version,
            created_at=utc_now(),
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    return await session.scalar(statement) is not None


async def forget_keys(session: AsyncSession, older_than: timedelta) -> None:
    """Forgets old idempotency keys."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < utc_now() - older_than))


def _with_latest() -> Select[Dataset, Version]:
    latest = (Version.dataset_id == Dataset.id) & (Version.number == Dataset.latest_version)
    return select(Dataset, Version).join(Version, latest).execution_options(populate_existing=True)


def _readable_by(reader_id: UUID) -> ColumnElement[bool]:
    return or_(Dataset.owner_id == reader_id, Dataset.visibility == Visibility.PUBLIC)


async def _latest_state(session: AsyncSession, dataset_id: UUID) -> str:
    numbers = select(Version.state).where(Version.dataset_id == dataset_id).order_by(Version.number.desc()).limit(1)
    return await session.scalar(numbers) or State.FAILED


def _fresh(query: Select[Dataset]) -> Select[Dataset]:
    """What was read before the lock was held is read again."""
    return query.execution_options(populate_existing=True)
