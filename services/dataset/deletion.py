"""Deleting datasets: what hangs on them first, then rows, then objects. Broken off anywhere, it can be done again."""

from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.object_store import ObjectStore
from servicekit.timestamps import utc_now
from services.dataset import events, repository, telling
from services.dataset.dependents import DependentClient, Dependents
from services.dataset.errors import DatasetInUse
from services.dataset.models import Dataset, loose_objects
from services.dataset.states import State
from services.dataset.work_queue import Ticket

log = structlog.get_logger(__name__)


async def delete_dataset(
    sessions: async_sessionmaker[AsyncSession],
    store: ObjectStore,
    dependents: DependentClient,
    owner_id: UUID,
    dataset_id: UUID,
    *,
    cascade: bool,
) -> Dependents:
    """Deletes an owner's dataset; with `cascade` also the jobs, models and studies on it. Returns how many went.

    Raises:
        DatasetNotFound: the owner has no such dataset.
        NotTheOwner: it is somebody else's.
        DatasetInUse: something hangs on it, and `cascade` is not set.
        Unavailable: the generation or the optimizer service can't be asked; nothing is deleted.
    """
    async with sessions() as session:
        await repository.find_own(session, owner_id, dataset_id)
    found = await dependents.count(owner_id, dataset_id)
    if any(found) and not cascade:
        raise DatasetInUse(dataset_id, *found)
    gone = await dependents.delete(owner_id, dataset_id)  # trials of searches too, which nobody sees nor counts
    async with sessions.begin() as session:
        await delete_rows(session, await repository.lock_own(session, owner_id, dataset_id))
    log.info("dataset_deleted", dataset_id=str(dataset_id), **gone._asdict())
    await loose_objects.remove_due(sessions, store)
    return gone


async def discard_failed(sessions: async_sessionmaker[AsyncSession], store: ObjectStore, ticket: Ticket) -> None:
    """Leaves nothing of a version that failed; nor of its dataset, if it has no other. Twice is once."""
    async with sessions.begin() as session:
        view = await repository.lock_any(session, *ticket)
        if view is None or view.version.state is not State.FAILED:
            return
        others = await repository.page_versions(session, ticket.dataset_id, None, 2)
        if len(others) == 1:
            await delete_rows(session, view.dataset)
        else:
            await loose_objects.loosen(session, [view.version.source_key], utc_now())
            await repository.delete_version(session, view.dataset, view.version)
    await loose_objects.remove_due(sessions, store)


async def delete_rows(session: AsyncSession, dataset: Dataset) -> None:
    """Deletes a locked dataset's rows; its objects are due for removal, and who follows it is told."""
    await loose_objects.loosen(session, await repository.object_keys(session, dataset.id), utc_now())
    await events.announce(session, dataset.id)
    await telling.dataset_deleted(session, dataset)
    await repository.delete_dataset(session, dataset)
