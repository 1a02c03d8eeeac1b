"""How long queues of work are, and how long the oldest piece has waited."""

from collections.abc import Mapping, Sequence

from prometheus_client.metrics_core import Metric
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.metrics.stored import Reading, gauge
from servicekit.queue import WorkQueue, queue_figures


def queue_reading(queues: Mapping[str, WorkQueue]) -> Reading:
    """Reads what a service's queues hold, each under the name that it has here."""

    async def read(session: AsyncSession) -> Sequence[Metric]:
        found = await queue_figures(session, queues.values())
        figures = {name: found[queue.entrypoint] for name, queue in queues.items()}
        return (
            gauge(
                "mirage_queue_length",
                "Pieces of work that wait for somebody to take them up.",
                ("queue",),
                (((name,), each.waiting) for name, each in figures.items()),
            ),
            gauge(
                "mirage_queue_at_work",
                "Pieces of work that somebody has taken up.",
                ("queue",),
                (((name,), each.at_work) for name, each in figures.items()),
            ),
            gauge(
                "mirage_queue_oldest_seconds",
                "How long the oldest piece of work has waited; 0 where none waits.",
                ("queue",),
                (((name,), each.oldest_s) for name, each in figures.items()),
            ),
        )

    return read
