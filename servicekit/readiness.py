"""Whether what a service stands on answers: its database, its object store.

That a process lives and takes calls is one thing, told by the health protocol's overall status. Whether it can do what
it is there for is another, told under the name `readiness`: a service without its database still answers, and says what
is missing, but the platform isn't well.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from servicekit.timestamps import utc_now

log = structlog.get_logger(__name__)

READINESS = "readiness"
"""The name under which the health protocol tells it."""

Check = Callable[[], Awaitable[None]]
"""Raises unless the part answers."""

_LOOK_S = 1.0
_LOOK_AGAIN_S = 0.25
_ANSWER_S = 3.0
_LOST_AFTER = 2  # failures in a row: one alone may be a connection that was old


@dataclass
class Standing:
    """How a part stands."""

    failures: int = 0  # in a row
    since: datetime = field(default_factory=utc_now)  # it has answered, or hasn't, since then
    answer_s: float = 0.0  # how long its last answer took

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self.failures < _LOST_AFTER


class Readiness(Collector):
    """Looks after the parts, and tells whenever the answer changes."""

    def __init__(self, parts: Mapping[str, Check], tell: Callable[[bool], Awaitable[None]] | None = None) -> None:
        """`parts` are what is needed, by a name for the log."""
        self._parts = parts
        self._tell = tell
        self.standings: Mapping[str, Standing] = {name: Standing() for name in parts}
        self._ready: bool | None = None

    async def look(self) -> None:
        """Looks once at every part."""
        await asyncio.gather(*(self._look_at(name, check) for name, check in self._parts.items()))
        ready = all(standing.is_up for standing in self.standings.values())
        if ready is not self._ready:
            self._ready = ready
            if self._tell is not None:
                await self._tell(ready)

    async def keep_looking(self) -> None:
        """Looks again and again, until it is cancelled."""
        while True:
            await self.look()
            failed = any(standing.failures for standing in self.standings.values())
            await asyncio.sleep(_LOOK_AGAIN_S if failed else _LOOK_S)

    def collect(self) -> Iterable[Metric]:
        """Which parts answer, and how fast; for the registry of metrics."""
        for name, standing in self.standings.items():
            prefix = f"mirage_{name.replace(' ', '_')}"
            yield GaugeMetricFamily(f"{prefix}_up", f"Whether the {name} answers (1) or not (0).", value=standing.is_up)
            yield GaugeMetricFamily(
                f"{prefix}_answer_seconds", f"How long the {name} took to answer, last time.", value=standing.answer_s
            )

    async def _look_at(self, name: str, check: Check) -> None:
        standing, began = self.standings[name], time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_S):
                await check()
        except Exception as error:  # whatever it is, the part doesn't answer as it should
            standing.failures += 1
            if standing.failures == _LOST_AFTER:
                standing.since = utc_now()
                log.warning("part_away", part=name, error=type(error).__name__)
        else:
            standing.answer_s = time.monotonic() - began
            if not standing.is_up:
                standing.since = utc_now()
                log.info("part_back", part=name)
            standing.failures = 0
