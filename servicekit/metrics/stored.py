"""Metrics that are read from the database when somebody scrapes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import structlog
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from servicekit.database import Database
from servicekit.settings import ServiceSettings

log = structlog.get_logger(__name__)

Reading = Callable[[AsyncSession], Awaitable[Sequence[Metric]]]
"""Reads some metrics, by one query each."""

_KEPT_S = 5.0  # who scrapes twice, and two who scrape, read once
_ANSWER_S = 0.8  # for all readings together: a scrape has no more than a second


class StoredMetrics(Collector):
    """Reads metrics when they are asked for; while the database is away, or slow, there are none.

    To be made while an event loop runs: a scrape, in a thread of its own, has the reading done there.
    """

    def __init__(self, database: Database, *readings: Reading) -> None:
        """`database` is for the readings alone, so that a scrape never waits for a connection that others hold."""
        self._database = database
        self._readings = readings
        self._loop = asyncio.get_running_loop()
        self._reading = asyncio.Lock()
        self._read: Sequence[Metric] = ()
        self._read_at = float("-inf")

    def collect(self) -> Iterable[Metric]:
        """What the readings say; for the registry, from a thread that isn't the event loop's."""
        reading = asyncio.run_coroutine_threadsafe(self._current(), self._loop)
        try:
            return reading.result(_ANSWER_S * 1.1)
        except Exception as error:  # whatever it is, the other metrics are to be told
            reading.cancel()
            log.warning("metrics_not_read", error=type(error).__name__)
            return ()

    async def _current(self) -> Sequence[Metric]:
        async with asyncio.timeout(_ANSWER_S), self._reading:
            if time.monotonic() - self._read_at > _KEPT_S:
                async with self._database.sessions() as session:
                    self._read = [metric for reading in self._readings for metric in await reading(session)]
                self._read_at = time.monotonic()
            return self._read


@asynccontextmanager
async def database_metrics(
    settings: ServiceSettings, database: Database, *readings: Reading
) -> AsyncIterator[Sequence[Collector]]:
    """What a process tells of its database: its pool's connections, and what the readings say. None if it tells none.

    `database` is the one that the process works with.
    """
    if not settings.metrics_enabled:
        yield ()
        return
    own = Database(settings.database_url.get_secret_value(), pool_size=1, timeout_s=_ANSWER_S)
    try:
        yield PoolMetrics(database.engine, settings.database_pool_size), StoredMetrics(own, *readings)
    finally:
        await own.close()


class PoolMetrics(Collector):
    """How many of a pool's connections are in use."""

    def __init__(self, engine: AsyncEngine, size: int) -> None:
        """`size` is how many there may be."""
        self._engine = engine
        self._size = size

    def collect(self) -> Iterable[Metric]:
        """The figures; for the registry."""
        used = self._engine.pool.checkedout()  # type: ignore[attr-defined]  # of every pool that keeps connections
        yield GaugeMetricFamily(
            "mirage_database_connections_in_use", "Connections of the pool that are working.", value=used
        )
        yield GaugeMetricFamily(
            "mirage_database_connections_limit", "Connections that the pool may have.", value=self._size
        )


def gauge(
    name: str, documentation: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    """A gauge with a value for each set of labels."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for own, value in values:
        family.add_metric(own, value)
    return family
