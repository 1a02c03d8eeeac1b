"""What the dataset service measures: what is uploaded, and how files are read in."""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from servicekit.attending import Ending
from servicekit.metrics.queues import queue_reading
from services.dataset.work_queue import QUEUE

_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)

read_queues = queue_reading({"ingestion": QUEUE})
"""Reads the queue's length and age."""


class UploadMetrics(Collector):
    """Files on their way in."""

    def __init__(self) -> None:
        self.bytes = Counter("mirage_upload_bytes", "Bytes of files that were received.", registry=None)
        self.seconds = Histogram(
            "mirage_ingestion_seconds",
            "How long files were read in, by how that ended: succeeded, failed, called_off or given_back.",
            ("ending",),
            registry=None,
            buckets=_BUCKETS_S,
        )
        for ending in Ending:
            self.seconds.labels(ending.value)

    def collect(self) -> Iterable[Metric]:
        """All of them; for the registry."""
        yield from self.bytes.collect()
        yield from self.seconds.collect()
