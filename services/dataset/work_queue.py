"""The queue of versions to be read in."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.queue import WorkQueue
from services.dataset.models import Version

# Announcement channels are shared by a whole database; this one is this service's own.
QUEUE = WorkQueue("dataset_queue", "ingest")

_FIRST_TIME, _AGAIN = 0, 1  # priorities: what was begun already goes before what was not


class Ticket(NamedTuple):
    """What a row of the queue says: which version is to be read in."""

    dataset_id: UUID
    version: int

    def to_bytes(self) -> bytes:
        """The row's payload."""
        return f"{self.dataset_id}/{self.version}".encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> "Ticket":
        """Reads a row's payload."""
        dataset_id, _, version = payload.decode().partition("/")
        return cls(UUID(dataset_id), int(version))


async def enqueue(session: AsyncSession, version: Version) -> None:
    """Puts a version into the queue, in this transaction."""
    priority = _AGAIN if version.attempts else _FIRST_TIME
    payload = Ticket(version.dataset_id, version.number).to_bytes()
    version.queue_id = await QUEUE.enqueue(session, payload, priority)
