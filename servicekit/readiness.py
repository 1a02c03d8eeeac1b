"""Whether what a service stands on answers: its database, its object store.

That a process lives and takes calls is one thing, told by the health protocol's overall status. Whether it can do what
it is there for is another, told under the name `readiness`: a service without its database still answers, and says what
is missing, but the platform isn't well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

log = structlog.get_logger(__name__)

READINESS = "readiness"
"""The name under which the health protocol tells it."""

Check = Callable[[], Awaitable[None]]
"""Raises unless the part answers."""

_LOOK_S = 1.0
_LOOK_AGAIN_S = 0.25
_ANSWER_S = 3.0
_LOST_AFTER = 2  # failures in a row: one alone may be a connection that was old


class Readiness:
    """Looks after the parts, and tells whenever the answer changes."""

    def __init__(self, parts: Mapping[str, Check], tell: Callable[[bool], Awaitable[None]]) -> None:
        """`parts` are what is needed, by a name for the log."""
        self._parts = parts
        self._tell = tell
        self._failures = dict.fromkeys(parts, 0)
        self._ready: bool | None = None

    async def look(self) -> None:
        """Looks once at every part."""
        await asyncio.gather(*(self._look_at(name, check) for name, check in self._parts.items()))
        ready = not any(failures >= _LOST_AFTER for failures in self._failures.values())
        if ready is not self._ready:
            self._ready = ready
            await self._tell(ready)

    async def keep_looking(self) -> None:
        """Looks again and again, until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_AGAIN_S if any(self._failures.values()) else _LOOK_S)

    async def _look_at(self, name: str, check: Check) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await check()
        except Exception as error:  # whatever it is, the part doesn't answer as it should
            self._failures[name] += 1
            if self._failures[name] == _LOST_AFTER:
                log.warning("part_away", part=name, error=type(error).__name__)
        else:
            if self._failures[name] >= _LOST_AFTER:
                log.info("part_back", part=name)
            self._failures[name] = 0
