"""What is done with a version while it is read in: one attempt, from the claim to the end.

Between two words of an attempt the dataset may be deleted, or the version given to another process because this one was
silent for too long. So every word is spoken with the dataset's row locked and only counts while the attempt is still
the version's own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.attending import Superseded
from servicekit.failures import Failure
from services.dataset import events, publishing, repository, telling, work_queue
from services.dataset.columns import Column
from services.dataset.failures import PROCESSES_LOST
from services.dataset.models import Document, loose_objects
from services.dataset.personal_data.kinds import Finding
from services.dataset.repository import View
from services.dataset.states import Stage, State
from services.dataset.work_queue import Ticket


class Attempt(NamedTuple):
    """One process's go at a version."""

    dataset_id: UUID
    version: int
    number: int  # from 1


@dataclass(frozen=True)
class Result:
    """What an attempt made; the table is in the object store already."""

    source_format: str
    table_key: str
    table_bytes: int
    table_sha256: str
    row_count: int
    columns: tuple[Column, ...]
    warnings: tuple[str, ...]
    profile: Document
    personal_data: tuple[Finding, ...]


async def claim(session: AsyncSession, ticket: Ticket, queue_id: int, max_losses: int) -> View | None:
    """Takes a version up that the queue has given to this process; None if there is nothing to do.

    There is nothing to do for a version that has ended, was deleted, or has another row in the queue by now, and for
    one that has cost `max_losses` processes their life: it fails.
    """
    view = await repository.lock_any(session, *ticket)
    if view is None or view.version.queue_id != queue_id or view.version.state is not State.PROCESSING:
        return None
    version = view.version
    if version.at_work:
        version.losses += 1
        if version.losses >= max_losses:
            await _end_badly(session, view, PROCESSES_LOST)
            return None
    version.attempts += 1
    version.at_work = True
    return view


async def report(session: AsyncSession, attempt: Attempt, stage: Stage, progress: float, rows_read: int) -> None:
    """Writes down how far the work is.

    Raises:
        Superseded: the attempt counts no more.
    """
    view = await _lock(session, attempt)
    await events.record(session, view.dataset, view.version, stage, progress=progress, rows_read=rows_read)


async def reserve(session: AsyncSession, attempt: Attempt, key: str, due_at: datetime) -> None:
    """Marks what is about to be stored for removal, unless the attempt succeeds in time.

    Raises:
        Superseded: the attempt counts no more.
    """
    await _lock(session, attempt)
    await loose_objects.loosen(session, [key], due_at)


async def succeed(session: AsyncSession, attempt: Attempt, result: Result) -> None:
    """The version is ready.

    Raises:
        Superseded: the attempt counts no more.
    """
    dataset, version = await _lock(session, attempt)
    version.state = State.READY
    version.queue_id, version.at_work = None, False
    version.source_format = result.source_format
    version.table_key, version.table_bytes = result.table_key, result.table_bytes
    version.table_sha256 = result.table_sha256
    version.row_count = result.row_count
    version.columns = [column.model_dump(mode="json") for column in result.columns]
    version.profile = result.profile
    version.personal_data = [finding.model_dump(mode="json") for finding in result.personal_data]
    withheld = publishing.withhold(dataset, version)
    version.warnings = [*result.warnings, *([withheld] if withheld else [])]
    await loose_objects.fasten(session, [result.table_key])
    await events.record(session, dataset, version, Stage.READY, progress=1.0, rows_read=result.row_count)
    await telling.version_ready(session, dataset, version, publishing.held_by(dataset, version))
    if withheld:
        await telling.dataset_updated(session, dataset, version, ["visibility"])


async def fail(session: AsyncSession, attempt: Attempt, failure: Failure) -> None:
    """The version can't be read.

    Raises:
        Superseded: the attempt counts no more.
    """
    await _end_badly(session, await _lock(session, attempt), failure)


async def give_back(session: AsyncSession, attempt: Attempt) -> None:
    """Puts the version back into the queue, because this process stops. It isn't counted against the file.

    Raises:
        Superseded: the attempt counts no more.
    """
    dataset, version = await _lock(session, attempt)
    version.at_work = False
    await work_queue.enqueue(session, version)
    await events.record(session, dataset, version, Stage.RECEIVED)


async def _end_badly(session: AsyncSession, view: View, failure: Failure) -> None:
    dataset, version = view
    version.state = State.FAILED
    version.queue_id, version.at_work = None, False
    version.set_failure(failure)
    await events.record(session, dataset, version, Stage.FAILED)
    await telling.version_failed(session, dataset, version)


async def _lock(session: AsyncSession, attempt: Attempt) -> View:
    view = await repository.lock_any(session, attempt.dataset_id, attempt.version)
    if view is None:
        raise Superseded
    version = view.version
    if version.attempts != attempt.number or version.state is not State.PROCESSING or not version.at_work:
        raise Superseded
    return view
