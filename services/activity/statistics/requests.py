"""Requests as the services count them: added up once a message, and asked for by RPC."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.patience import DATABASE_ERRORS
from services.activity.people import alias_of
from services.activity.rollups import EVERYBODY, InFlight, RequestBatch, RequestCount, RequestDuration
from services.activity.statistics.histograms import quantile
from services.activity.statistics.periods import Period, counted_in

log = structlog.get_logger(__name__)

LONGEST_DAYS = 90
"""How far back anybody can ask."""

_KEPT = timedelta(days=LONGEST_DAYS + 3)
_BATCHES_KEPT = timedelta(days=1)
_STALE = timedelta(seconds=20)  # a process that has told nothing for so long has nothing under way
_SUMS = ("requests", "errors", "failures", "request_bytes", "response_bytes", "microseconds")

# What is everybody's is counted beside what is a user's; of nobody who is signed in there is the former only.
_SPREAD = """
    CROSS JOIN LATERAL (SELECT CAST(:everybody AS uuid) UNION ALL SELECT told.user_id WHERE told.user_id <> :everybody)
        AS scopes (scope_id)
    CROSS JOIN LATERAL (VALUES ('quarter', told.quarter), ('day', date_trunc('day', told.quarter, 'UTC')))
        AS spans (span, start)
"""
_ADD_COUNTS = text(f"""
    INSERT INTO request_counts AS kept (user_id, span, start, rpc, {", ".join(_SUMS)})
    SELECT scope_id, span, start, rpc, {", ".join(f"sum({name})" for name in _SUMS)}
    FROM unnest(
        CAST(:user_id AS uuid[]), CAST(:quarter AS timestamptz[]), CAST(:rpc AS text[]),
        {", ".join(f"CAST(:{name} AS bigint[])" for name in _SUMS)}
    ) AS told (user_id, quarter, rpc, {", ".join(_SUMS)})
    {_SPREAD}
    GROUP BY scope_id, span, start, rpc
    ORDER BY scope_id, span, start, rpc
    ON CONFLICT (user_id, span, start, rpc) DO UPDATE SET
        {", ".join(f"{name} = kept.{name} + excluded.{name}" for name in _SUMS)}
""")  # noqa: S608 - of our own words
_ADD_DURATIONS = text(f"""
    INSERT INTO request_durations AS kept (user_id, span, start, rpc, bucket, count)
    SELECT scope_id, span, start, rpc, bucket, sum(count)
    FROM unnest(
        CAST(:user_id AS uuid[]), CAST(:quarter AS timestamptz[]), CAST(:rpc AS text[]), CAST(:bucket AS smallint[]),
        CAST(:count AS bigint[])
    ) AS told (user_id, quarter, rpc, bucket, count)
    {_SPREAD}
    GROUP BY scope_id, span, start, rpc, bucket
    ORDER BY scope_id, span, start, rpc, bucket
    ON CONFLICT (user_id, span, start, rpc, bucket) DO UPDATE SET count = kept.count + excluded.count
""")  # noqa: S608 - of our own words
# Kept from being deleted until the counts are there, so that whoever forgets somebody finds all there is.
_HOLD = text("SELECT person_id FROM people WHERE person_id = ANY(CAST(:ids AS uuid[])) FOR KEY SHARE")
_FORGOTTEN = text("SELECT person_id FROM people WHERE key IS NULL AND person_id = ANY(CAST(:ids AS uuid[]))")
_COUNTS = text(f"""
    SELECT rpc, {", ".join(f"sum({name})::bigint" for name in _SUMS)}
    FROM {counted_in("request_counts", "*", "user_id = :scope")}
    GROUP BY rpc
""")  # noqa: S608 - of our own words
_DURATIONS = text(f"""
    SELECT rpc, bucket, sum(count)::bigint
    FROM {counted_in("request_durations", "rpc, bucket, count", "user_id = :scope")}
    GROUP BY rpc, bucket
""")  # noqa: S608 - of our own words
_IN_FLIGHT = text("""
    SELECT rpc, sum(requests)::bigint FROM requests_in_flight
    WHERE told_time > :since AND (user_id = :scope OR :scope = :everybody)
    GROUP BY rpc
""")


class Told(NamedTuple):
    """What a process has counted of one user's requests for one RPC in one quarter of an hour."""

    rpc: str
    user_id: UUID  # EVERYBODY for nobody who is signed in
    quarter: datetime
    requests: int
    errors: int
    failures: int
    request_bytes: int
    response_bytes: int
    microseconds: int
    durations: tuple[tuple[int, int], ...]  # bucket and count


@dataclass
class Route:
    """How requests for an RPC went."""

    rpc: str
    requests: int = 0
    errors: int = 0
    failures: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    microseconds: int = 0
    in_flight: int = 0
    durations: dict[int, int] = field(default_factory=dict)

    @property
    def mean_seconds(self) -> float | None:
        """How long they took; None where that wasn't measured."""
        measured = sum(self.durations.values())
        return self.microseconds / 1e6 / measured if measured else None

    def quantile(self, share: float) -> float | None:
        """How many seconds this share of them took at most; None where that wasn't measured."""
        return quantile(self.durations, share)


async def add(
    session: AsyncSession,
    batch_id: UUID,
    process_id: UUID,
    told: Sequence[Told],
    in_flight: Sequence[tuple[str, UUID, int]],
    now: datetime,
) -> bool:
    """Adds what a process has counted; returns whether it wasn't there before. Who was forgotten isn't named again."""
    statement = insert(RequestBatch).values(batch_id=batch_id, stored_time=now).on_conflict_do_nothing()
    added = (await session.execute(statement.returning(RequestBatch.batch_id))).first() is not None
    if not added:
        return False
    forgotten = await _forgotten(session, {each.user_id for each in told} | {user for _, user, _ in in_flight})
    told = [each._replace(user_id=EVERYBODY) if each.user_id in forgotten else each for each in told]
    if told:
        await session.execute(_ADD_COUNTS, {"everybody": EVERYBODY, **_columns(told)})
    if durations := [(each, bucket, count) for each in told for bucket, count in each.durations]:
        rows, buckets, counts = zip(*durations, strict=True)
        values = {"bucket": list(buckets), "count": list(counts), **_keys(rows)}
        await session.execute(_ADD_DURATIONS, {"everybody": EVERYBODY, **values})
    await _set_in_flight(session, process_id, [each for each in in_flight if each[1] not in forgotten], now)
    return True


async def routes_of(session: AsyncSession, scope_id: UUID, period: Period) -> list[Route]:
    """How somebody's, or everybody's, requests of a period went, the most frequent first."""
    values = {"scope": scope_id, **period.bounds}
    routes = {row[0]: Route(*row) for row in await session.execute(_COUNTS, values)}
    for rpc, bucket, count in await session.execute(_DURATIONS, values):
        routes[rpc].durations[bucket] = count
    since = datetime.now(UTC) - _STALE
    for rpc, count in await session.execute(_IN_FLIGHT, {"scope": scope_id, "everybody": EVERYBODY, "since": since}):
        routes.setdefault(rpc, Route(rpc)).in_flight = int(count)
    return sorted(routes.values(), key=lambda route: (-route.requests, route.rpc))


async def forget_old(session: AsyncSession, now: datetime) -> None:
    """Deletes what nobody can ask for any more."""
    await session.execute(delete(RequestCount).where(RequestCount.start < now - _KEPT))
    await session.execute(delete(RequestDuration).where(RequestDuration.start < now - _KEPT))
    await session.execute(delete(InFlight).where(InFlight.told_time < now - _STALE))
    await session.execute(delete(RequestBatch).where(RequestBatch.stored_time < now - _BATCHES_KEPT))


async def keep_tidy(sessions: async_sessionmaker[AsyncSession], every_s: float = 600.0) -> None:
    """Deletes, again and again, what nobody can ask for any more; ends by being cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            async with sessions.begin() as session:
                await forget_old(session, datetime.now(UTC))
        except DATABASE_ERRORS as error:  # next time, then
            log.warning("not_tidied", error=type(error).__name__)


async def _forgotten(session: AsyncSession, user_ids: set[UUID]) -> set[UUID]:
    await session.execute(_HOLD, {"ids": sorted(user_ids)})
    aliases = {alias_of(user_id): user_id for user_id in user_ids}
    found = await session.scalars(_FORGOTTEN, {"ids": list(aliases)})
    return {aliases[alias] for alias in found}


async def _set_in_flight(
    session: AsyncSession, process_id: UUID, in_flight: Sequence[tuple[str, UUID, int]], now: datetime
) -> None:
    await session.execute(delete(InFlight).where(InFlight.process_id == process_id))
    rows = [
        {"process_id": process_id, "rpc": rpc, "user_id": user_id, "requests": count, "told_time": now}
        for rpc, user_id, count in in_flight
    ]
    if rows:
        await session.execute(insert(InFlight).on_conflict_do_nothing(), rows)


def _keys(rows: Sequence[Told]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in ("user_id", "quarter", "rpc")}


def _columns(rows: Sequence[Told]) -> dict[str, list[Any]]:
    return _keys(rows) | {name: [getattr(row, name) for row in rows] for name in _SUMS}
