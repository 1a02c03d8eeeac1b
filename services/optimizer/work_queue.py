"""The queue of studies to be driven: a study has a row there until it has ended and its trials are put away."""

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.queue import WorkQueue
from services.optimizer.models import Study

# Announcement channels are shared by a whole database; this one is this service's own.
QUEUE = WorkQueue("optimizer_queue", "search")


async def enqueue(session: AsyncSession, study: Study) -> None:
    """Puts the study into the queue, in this transaction."""
    study.queue_id = await QUEUE.enqueue(session, str(study.id).encode())
