"""Uploads: a file arrives, is stored, becomes a version, and is read in. What fails on the way leaves nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.idempotency import IdempotencyKeyReused
from servicekit.ids import new_id
from servicekit.listen import Listener
from servicekit.object_store import ObjectStore
from servicekit.quota import StorageQuota
from servicekit.timestamps import utc_now
from services.dataset import deletion, events, repository
from services.dataset.arrivals import Arrival, NewDataset, NewVersion, Received
from services.dataset.errors import ChecksumMismatch, DatasetChanged, DatasetNotFound, StillReading, UploadTooSlow
from services.dataset.failures import error_of
from services.dataset.metrics import UploadMetrics
from services.dataset.models import IdempotencyKey, departures, loose_objects
from services.dataset.repository import View
from services.dataset.states import State
from services.dataset.uploading.body import Body
from services.dataset.work_queue import Ticket

log = structlog.get_logger(__name__)

# Beyond the time that an upload may take, so that what has arrived in time is surely named by a row.
_STORING_MARGIN = timedelta(minutes=10)
# Announcements can be lost, so who waits looks for himself as well.
_LOOK_S = 5.0


class Uploads:
    """Takes files."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        store: ObjectStore,
        listener: Listener,
        quota: StorageQuota,
        time_s: float,
        metrics: UploadMetrics,
    ) -> None:
        self._sessions = sessions
        self._metrics = metrics
        self._store = store
        self._listener = listener
        self._quota = quota
        self._time_s = time_s

    async def create_dataset(self, owner_id: UUID, body: Body, key: str = "") -> View:
        """Makes a dataset of an upload; where it asks to wait, returns when the dataset is ready.

        Raises:
            IngestionFailed: who waited is told that the file can't be read; nothing of it is left.
            ServiceError: the upload is wrong, too large or slow, or was cut off; nothing of it is left.
        """
        return await self._take(NewDataset(owner_id, body), key)

    async def create_version(self, owner_id: UUID, dataset_id: UUID, body: Body, key: str = "") -> View:
        """Makes the next version of a dataset; where the upload asks to wait, returns when it is ready.

        Raises:
            DatasetNotFound: the owner has no such dataset.
            NotTheOwner: it is somebody else's.
            IngestionFailed: who waited is told that the file can't be read; nothing of it is left.
            ServiceError: the upload is wrong, too large or slow, or was cut off; nothing of it is left.
        """
        async with self._sessions() as session:
            await repository.find_own(session, owner_id, dataset_id)
        return await self._take(NewVersion(owner_id, dataset_id, body), key)

    async def _take(self, arrival: Arrival, key: str) -> View:
        announced = arrival.check_opening()
        async with self._sessions() as session:
            before = await repository.find_key(session, arrival.owner_id, key) if key else None
        if before is not None:
            async with self._time_limit():
                received = await _drain(arrival.body)
            ticket = _repeated(before, arrival, received)
        else:
            async with self._stored(arrival) as received:
                if announced.sha256 not in (None, received.sha256):
                    raise ChecksumMismatch(announced.sha256 or "", received.sha256)
                ticket = await self._write(arrival, received, key)
            log.info(
                "upload_received", dataset_id=str(ticket.dataset_id), version=ticket.version, size_bytes=received.size
            )
        return await self._answer(ticket, wait=arrival.body.opening.wait)

    @asynccontextmanager
    async def _stored(self, arrival: Arrival) -> AsyncIterator[Received]:
        """The arriving file in the object store; removed at the end of the block unless a row names it by then."""
        key = f"{arrival.owner_id}/{arrival.dataset_id}/{new_id()}/original"
        try:
            # Inside: a caller who goes away while this is committed leaves the mark.
            async with self._sessions.begin() as session:
                await departures.admit(session, arrival.owner_id)
                declared = arrival.body.opening.declared_bytes or 0
                allowance = await self._quota.check(session, arrival.owner_id, declared)
                due_at = utc_now() + timedelta(seconds=self._time_s) + _STORING_MARGIN
                await loose_objects.loosen(session, [key], due_at)
            async with self._time_limit():
                stored = await self._store.put_stream(key, self._counted(allowance.hold(arrival.body.file())))
            yield Received(key, stored.size, stored.sha256)
        finally:
            await asyncio.shield(loose_objects.remove_if_loose(self._sessions, self._store, key))

    async def _counted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self._metrics.bytes.inc(len(piece))
            yield piece

    @asynccontextmanager
    async def _time_limit(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._time_s):
                yield
        except TimeoutError:
            raise UploadTooSlow(self._time_s) from None

    async def _write(self, arrival: Arrival, received: Received, key: str) -> Ticket:
        """Writes the arrival's rows, unless the same upload was faster."""
        try:
            async with self._sessions.begin() as session:
                await departures.admit(session, arrival.owner_id)
                await self._quota.check(session, arrival.owner_id, received.size)
                version = await arrival.write(session, received)
                ticket = Ticket(version.dataset_id, version.number)
                if key:
                    await _claim(session, arrival, received, key, ticket)
                return ticket
        except _KeyTaken:
            async with self._sessions() as session:
                before = await repository.find_key(session, arrival.owner_id, key)
        if before is None:  # made and deleted again meanwhile
            raise DatasetChanged(arrival.dataset_id)
        return _repeated(before, arrival, received)

    async def _answer(self, ticket: Ticket, *, wait: bool) -> View:
        if wait:
            await self._until_settled(ticket)
        async with self._sessions() as session:
            version = await repository.get_version(session, ticket.dataset_id, ticket.version)
            dataset = await repository.get_dataset(session, ticket.dataset_id)
        if dataset is None or version is None:
            raise DatasetNotFound(ticket.dataset_id)
        if wait and version.state is State.FAILED:
            await deletion.discard_failed(self._sessions, self._store, ticket)
            raise error_of(version)
        return View(dataset, version)

    async def _until_settled(self, ticket: Ticket) -> None:
        """Returns when the version is ready, has failed, or is gone.

        Raises:
            StillReading: this process stops before.
        """
        async with self._listener.subscribe(events.CHANNEL, str(ticket.dataset_id)) as subscription:
            while True:
                async with self._sessions() as session:
                    version = await repository.get_version(session, ticket.dataset_id, ticket.version)
                if version is None or version.state is not State.PROCESSING:
                    return
                if self._listener.winding_down:
                    raise StillReading(ticket.dataset_id)
                await subscription.wait(_LOOK_S)


class _KeyTaken(Exception):
    """The same key was claimed by another upload meanwhile."""


async def _claim(session: AsyncSession, arrival: Arrival, received: Received, key: str, ticket: Ticket) -> None:
    claim = IdempotencyKey(
        owner_id=arrival.owner_id,
        key=key,
        fingerprint=arrival.fingerprint(received),
        dataset_id=ticket.dataset_id,
        version=ticket.version,
    )
    if not await repository.claim_key(session, claim):
        raise _KeyTaken


async def _drain(body: Body) -> Received:
    """Reads a file that need not be stored again."""
    size, digest = 0, hashlib.sha256()
    async for piece in body.file():
        size += len(piece)
        digest.update(piece)
    return Received("", size, digest.hexdigest())


def _repeated(before: IdempotencyKey, arrival: Arrival, received: Received) -> Ticket:
    """What the same upload made before.

    Raises:
        IdempotencyKeyReused: it was another upload.
    """
    if before.fingerprint != arrival.fingerprint(received):
        raise IdempotencyKeyReused
    return Ticket(before.dataset_id, before.version)
