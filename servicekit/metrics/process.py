"""What a process measures of itself: memory, processor time, open files, and how late its event loop runs."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from prometheus_client import GCCollector, Histogram, Info, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from pydantic_settings import BaseSettings

_MEMORY = Path("/proc/self/smaps_rollup")
_SHARE = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
_LOOK_S = 0.5  # between two looks at the event loop
_LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class ProportionalMemory(Collector):
    """Memory in which a page that several processes share counts in parts, so that it counts once in all."""

    def collect(self) -> Iterable[Metric]:
        """The figure, where the kernel tells it."""
        try:
            found = _SHARE.search(_MEMORY.read_text())
        except OSError:  # no Linux, or one that is locked down
            return
        if found:
            yield GaugeMetricFamily(
                "mirage_process_proportional_memory_bytes",
                "Resident memory, a page shared by n processes counted as an n-th (PSS).",
                value=int(found[1]) * 1024,
            )


class DiskSpace(Collector):
    """How much room there is where a process writes."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        """`places` are directories, by what they are for."""
        self._places = places

    def collect(self) -> Iterable[Metric]:
        """The figures of those that are there; for the registry."""
        free = GaugeMetricFamily("mirage_disk_free_bytes", "Room on the disk, by what it is for.", labels=("place",))
        size = GaugeMetricFamily("mirage_disk_size_bytes", "Size of the disk, by what it is for.", labels=("place",))
        for place, path in self._places.items():
            try:
                usage = shutil.disk_usage(path)
            except OSError:
                continue
            free.add_metric((place,), usage.free)
            size.add_metric((place,), usage.total)
        yield from (free, size)


def register_process(registry: CollectorRegistry, settings: BaseSettings) -> None:
    """Has a registry tell of this process."""
    objects = getattr(settings, "s3_local_path", None)  # of those that keep objects, where the store is on this machine
    registry.register(DiskSpace({"work": Path(tempfile.gettempdir()), **({"objects": objects} if objects else {})}))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(ProportionalMemory())
    build = Info("mirage_build", "What is running.", registry=registry)
    build.info({"version": version("mirage-platform")})


@asynccontextmanager
async def measured_loop(registry: CollectorRegistry) -> AsyncIterator[None]:
    """Measures how late this event loop runs, for as long as the block."""
    lag = Histogram(
        "mirage_event_loop_lag_seconds",
        "How much later than asked for the event loop has woken somebody up: how long everybody waits for their turn.",
        registry=registry,
        buckets=_LAG_BUCKETS_S,
    )
    measuring = asyncio.create_task(_measure(lag), name="event loop lag")
    try:
        yield
    finally:
        measuring.cancel()
        await asyncio.wait({measuring})


async def _measure(lag: Histogram) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LOOK_S
        await asyncio.sleep(_LOOK_S)
        lag.observe(max(0.0, loop.time() - due))
