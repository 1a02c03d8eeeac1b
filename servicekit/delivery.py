"""Delivers what waits in a service's outbox to the activity service: at least once, in order, by one process at a time.

Nothing waits for it. While the activity service is away the events stay where they are; once it is back they go out in
batches. An event that the log refuses for good is set aside, and stops no other.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import asyncpg
import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from mirage.activity.v1 import event_pb2, event_pb2_grpc
from servicekit.clients import Identity, peer_channel
from servicekit.database import Database
from servicekit.errors import Unavailable
from servicekit.outbox import CHANNEL_SUFFIX
from servicekit.settings import ActivitySettings
from servicekit.timestamps import to_timestamp, utc_now

log = structlog.get_logger(__name__)

BATCH_EVENTS = 500
_BATCH_BYTES = 4 * 1024 * 1024
_CALL_TIMEOUT_S = 30.0
_LOOK_S = 10.0  # an announcement may be lost with its connection
_TURN_S = 1.0  # between two tries to become the one who delivers
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_DATABASE_TIMEOUT_S = 30.0
_ALONE_TRIES = 5  # of an event that makes the log fail in a way that it doesn't explain

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(current_schema() || '.outbox', 0))"
_WAITING = "SELECT id, event FROM outbox WHERE set_aside_at IS NULL ORDER BY id LIMIT $1"
_TAKEN = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
_SET_ASIDE = "UPDATE outbox SET set_aside_at = now(), fault = $2 WHERE id = $1"

# The log can't be reached, or doesn't let us in: no fault of the events.
_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class _Batch(NamedTuple):
    """Events that go out together, by their rows' ids."""

    ids: list[int]
    events: list[event_pb2.Event]


class Delivery:
    """Sends what waits in one schema's outbox, for as long as `keep` runs."""

    def __init__(self, dsn: str, channel: grpc.aio.Channel, identity: Identity) -> None:
        self._dsn = dsn
        self._stub = event_pb2_grpc.EventServiceStub(channel)
        self._identity = identity
        self._added = asyncio.Event()
        self._failures = 0  # in a row, with the log away
        self._size = BATCH_EVENTS  # smaller while the log fails at a batch, to find the event at which it does
        self._tries_alone = 0

    async def keep(self) -> None:
        """Delivers until it is cancelled, also where the database is away now and then."""
        while True:
            try:
                await self._connected()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("outbox_lost", error=type(error).__name__)
            except Exception:  # whatever it is, events must not wait for ever
                log.exception("delivery_failed")
            await asyncio.sleep(_TURN_S)

    async def _connected(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=10, command_timeout=_DATABASE_TIMEOUT_S)
        try:
            connection.add_termination_listener(lambda _connection: self._added.set())
            # Asked for again and again: a statement that waits would keep the whole database from clearing dead rows.
            while not await connection.fetchval(_LOCK):  # noqa: ASYNC110 - another process may hold it
                await asyncio.sleep(_TURN_S)
            schema = await connection.fetchval("SELECT current_schema()")
            await connection.add_listener(f"{schema}{CHANNEL_SUFFIX}", lambda *_heard: self._added.set())
            while True:
                self._added.clear()
                if not await self._deliver(connection):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_S):
                            await self._added.wait()
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=1)

    async def _deliver(self, connection: asyncpg.Connection) -> bool:
        """Sends a batch, if there is one; returns whether there was."""
        rows = await connection.fetch(_WAITING, self._size)
        if not rows:
            return False
        batch = await self._read(connection, rows)
        if batch.ids:
            await self._send(connection, batch)
        return True

    async def _read(self, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> _Batch:
        """The events of rows, as many as fit into one message; what is no event is set aside."""
        batch, size = _Batch([], []), 0
        for row in rows:
            size += len(row["event"])
            if size > _BATCH_BYTES and batch.ids:
                break
            try:
                event = event_pb2.Event.FromString(row["event"])
            except DecodeError:
                await self._set_aside(connection, row["id"], "It is no event.")
            else:
                batch.ids.append(row["id"])
                batch.events.append(event)
        return batch

    async def _send(self, connection: asyncpg.Connection, batch: _Batch) -> None:
        request = event_pb2.RecordEventsRequest(events=batch.events, sent_time=to_timestamp(utc_now()))
        try:
            answer = await self._stub.RecordEvents(request, timeout=_CALL_TIMEOUT_S)
        except Unavailable:
            await self._pause("no token")
        except grpc.aio.AioRpcError as error:
            await self._failed(connection, batch, error)
        else:
            await self._delivered(connection, batch, answer)

    async def _delivered(
        self, connection: asyncpg.Connection, batch: _Batch, answer: event_pb2.RecordEventsResponse
    ) -> None:
        if self._failures:
            log.info("activity_back")
        self._failures = self._tries_alone = 0
        self._size = min(self._size * 2, BATCH_EVENTS)
        refused = {refusal.index: refusal.description for refusal in answer.refused}
        for index, why in refused.items():
            await self._set_aside(connection, batch.ids[index], why)
        await connection.execute(_TAKEN, [row_id for index, row_id in enumerate(batch.ids) if index not in refused])

    async def _failed(self, connection: asyncpg.Connection, batch: _Batch, error: grpc.aio.AioRpcError) -> None:
        if error.code() in _AWAY:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                self._identity.discard(await self._identity.token())
            await self._pause(error.code().name)
        elif len(batch.ids) > 1:
            log.warning("batch_failed", code=error.code().name, events=len(batch.ids))
            self._size = max(len(batch.ids) // 2, 1)
        else:
            self._tries_alone += 1
            if self._tries_alone >= _ALONE_TRIES:
                await self._set_aside(connection, batch.ids[0], f"{error.code().name}: {error.details()}")
                self._tries_alone = 0
            else:
                await self._pause(error.code().name)

    async def _set_aside(self, connection: asyncpg.Connection, row_id: int, why: str) -> None:
        await connection.execute(_SET_ASIDE, row_id, why)
        log.error("event_set_aside", outbox_id=row_id, fault=why)

    async def _pause(self, cause: str) -> None:
        if not self._failures:
            log.warning("activity_away", cause=cause)
        self._failures = min(self._failures + 1, 10)
        await asyncio.sleep(min(_FIRST_PAUSE_S * 2**self._failures, _LONGEST_PAUSE_S))


@asynccontextmanager
async def delivering(settings: ActivitySettings, database: Database, identity: Identity) -> AsyncIterator[None]:
    """Delivers a service's events while the block runs, where it is set to whom."""
    if not settings.activity_address:
        log.warning("events_wait", cause="ACTIVITY_ADDRESS is not set")
        yield
        return
    async with peer_channel(settings.activity_address, settings.internal_tls, identity) as channel:
        keeping = asyncio.create_task(Delivery(database.dsn, channel, identity).keep(), name="delivery")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})
