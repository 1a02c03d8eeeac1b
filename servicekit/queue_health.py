"""How queues of work stand, for who asks how a service is."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.health import Finding, Look
from servicekit.queue import WorkQueue, queue_figures


def queue_look(sessions: async_sessionmaker[AsyncSession], queue: WorkQueue) -> Look:
    """Finds out how long a queue is. However long it is, that is nobody's fault."""

    async def look() -> Finding:
        async with sessions() as session:
            figures = (await queue_figures(session, [queue]))[queue.entrypoint]
        return Finding(
            {
                "waiting": figures.waiting,
                "at_work": figures.at_work,
                "oldest_seconds": round(figures.oldest_s, 1),
            }
        )

    return look


def workers_look(sessions: async_sessionmaker[AsyncSession], queue: WorkQueue) -> Look:
    """Finds out how many consumers a queue has. Without one its work waits, while the service serves."""

    async def look() -> Finding:
        async with sessions() as session:
            connected = await queue.consumers_alive(session)
        return Finding({"connected": connected}, "" if connected else "No worker is connected: what is queued waits.")

    return look
