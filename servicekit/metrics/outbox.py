"""How many events wait in a service's outbox, and since when."""

from collections.abc import Sequence

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import outbox


async def read_outbox(session: AsyncSession) -> Sequence[Metric]:
    """Reads what waits to be delivered, and what never will be."""
    figures = await outbox.figures(session)
    return (
        GaugeMetricFamily("mirage_outbox_length", "Events that wait to be delivered.", value=figures.waiting),
        GaugeMetricFamily(
            "mirage_outbox_oldest_seconds",
            "How long the oldest event has waited to be delivered; 0 where none waits.",
            value=figures.oldest_s,
        ),
        GaugeMetricFamily(
            "mirage_outbox_set_aside", "Events that the log has refused for good.", value=figures.set_aside
        ),
    )
