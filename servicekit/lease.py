"""Consumers of a queue that are alive, and what those that no longer are leave behind.

A heartbeat tells of a consumer's death only after the time that a live one may be silent. Its connection tells at once:
every consumer holds an advisory lock in a session of its own, which PostgreSQL drops when that session ends, however it
ends, and a row whose holder's lock can be had belongs to nobody. Where the connection outlives the consumer, as with a
machine that lost its power, or the consumer hangs, the heartbeat has to do. A second lock, which all consumers share,
tells how many there are.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

log = structlog.get_logger(__name__)

_LOOK_S = 0.5
_AWAY_PAUSE_S = 0.25
_ANSWER_S = 5.0
# After the database was away every lock is free until its holder is connected again, so one look is not enough.
_MISSING_S = 2.0
# Ids of this version say that their consumer holds a lease. Those of the queue library's own have another.
LEASED_VERSION = 7

_HOLD = "SELECT pg_advisory_lock(hashtextextended($1::uuid::text, 0))"
_SHARE = "SELECT pg_advisory_lock_shared(hashtextextended($1, 0))"
_LIVING = text("""
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND mode = 'ShareLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) = hashtextextended(:shared, 0)
""")
_WITHOUT_LEASE = """
    SELECT holder
    FROM (
        SELECT DISTINCT queue_manager_id AS holder FROM pgqueuer
        WHERE status = 'picked' AND entrypoint = $1 AND queue_manager_id IS DISTINCT FROM $2
    ) AS others
    WHERE pg_try_advisory_xact_lock_shared(hashtextextended(holder::text, 0))
"""
# What the library takes for silence. Its own trigger announces no updates.
_FREE = """
    WITH freed AS (
        UPDATE pgqueuer SET heartbeat = 'epoch'
        WHERE status = 'picked' AND entrypoint = $1 AND queue_manager_id = ANY($2::uuid[]) AND heartbeat > 'epoch'
        RETURNING id
    ), announced AS (
        SELECT pg_notify($3, json_build_object(
            'channel', $3::text, 'operation', 'update', 'sent_at', now(), 'table', 'pgqueuer',
            'type', 'table_changed_event'
        )::text) WHERE EXISTS (SELECT FROM freed)
    )
    SELECT id, (SELECT count(*) FROM announced) FROM freed
"""


async def consumers_alive(session: AsyncSession, channel: str, entrypoint: str) -> int:
    """How many consumers of an entrypoint are connected to the database."""
    return int(await session.scalar(_LIVING, {"shared": _shared(channel, entrypoint)}) or 0)


def _shared(channel: str, entrypoint: str) -> str:
    """What the consumers' common lock is named after; locks are the whole database's."""
    return f"{channel}:{entrypoint}"


class Lease:
    """Tells the other consumers of an entrypoint that this one lives, and frees the rows of those that don't."""

    def __init__(self, dsn: str, channel: str, entrypoint: str, consumer: UUID) -> None:
        self._dsn = dsn
        self._channel = channel
        self._entrypoint = entrypoint
        self._consumer = consumer
        self.held = asyncio.Event()

    async def keep(self) -> None:
        """Holds the lease until it is cancelled; takes it again whenever the database was away."""
        while True:
            try:
                await self._hold()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("lease_lost", error=type(error).__name__)
            await asyncio.sleep(_AWAY_PAUSE_S)

    async def _hold(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=_ANSWER_S, command_timeout=_ANSWER_S)
        try:
            await connection.execute(_HOLD, self._consumer)
            await connection.execute(_SHARE, _shared(self._channel, self._entrypoint))
            self.held.set()
            missing: dict[UUID, float] = {}  # since when
            while True:
                missing = await self._look(connection, missing)
                await asyncio.sleep(_LOOK_S)
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=1)

    async def _look(self, connection: asyncpg.Connection, missing: dict[UUID, float]) -> dict[UUID, float]:
        now = time.monotonic()
        holders = [row["holder"] for row in await connection.fetch(_WITHOUT_LEASE, self._entrypoint, self._consumer)]
        missing = {holder: missing.get(holder, now) for holder in holders if holder.version == LEASED_VERSION}
        dead = [holder for holder, since in missing.items() if now - since >= _MISSING_S]
        if dead:
            await self._free(connection, dead)
        return missing

    async def _free(self, connection: asyncpg.Connection, dead: Sequence[UUID]) -> None:
        for row in await connection.fetch(_FREE, self._entrypoint, dead, self._channel):
            log.warning("row_freed", queue_id=row["id"])
