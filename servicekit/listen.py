"""NOTIFY, heard: one LISTEN connection a process, fanned out in memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

log = structlog.get_logger(__name__)


class Subscription:
    """Wakes its holder when something was announced for its key."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Something was, or may have been, announced."""
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        """Waits for an announcement since the last wait; False if there was none in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Listener:
    """Hears channels of one database and wakes the subscribers of a key: the announcement's payload.

    Announcements may be lost while the connection is: after reconnecting everybody is woken, to look for themselves.
    """

    def __init__(self, dsn: str, *channels: str) -> None:
        self._dsn = dsn
        self._channels = channels
        self._subscribers: defaultdict[tuple[str, str], set[Subscription]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self.winding_down = False  # whether subscribers should come to an end

    async def __aenter__(self) -> "Listener":
        connection = await self._connect()
        self._task = asyncio.create_task(self._keep_listening(connection), name="listener")
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @asynccontextmanager
    async def subscribe(self, channel: str, key: str) -> AsyncIterator[Subscription]:
        """Subscribes to a key of a channel while the block runs."""
        subscription = Subscription()
        subscribers = self._subscribers[channel, key]
        subscribers.add(subscription)
        try:
            yield subscription
        finally:
            subscribers.discard(subscription)
            if not subscribers:
                self._subscribers.pop((channel, key), None)

    def wind_down(self) -> None:
        """Asks every subscriber to come to an end, because the process stops."""
        self.winding_down = True
        self._wake_all()

    def _wake_all(self) -> None:
        for subscribers in list(self._subscribers.values()):
            for subscription in subscribers:
                subscription.wake()

    async def _connect(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(self._dsn, timeout=10)
        self._lost.clear()
        connection.add_termination_listener(lambda _connection: self._lost.set())
        for channel in self._channels:
            await connection.add_listener(channel, self._heard)
        return connection

    def _heard(self, _connection: object, _process_id: int, channel: str, payload: str) -> None:
        for subscription in self._subscribers.get((channel, payload), ()):
            subscription.wake()

    async def _keep_listening(self, connection: asyncpg.Connection) -> None:
        try:
            while True:
                await self._lost.wait()
                log.warning("listener_lost")
                async for attempt in AsyncRetrying(
                    wait=wait_random_exponential(multiplier=0.1, max=5),
                    retry=retry_if_exception_type((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)),
                ):
                    with attempt:
                        connection = await self._connect()
                log.info("listener_back")
                self._wake_all()
        finally:
            await connection.close(timeout=2)
