"""How fast what happens gets into the log."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import asyncpg

from benchmarks.measuring import platform_at
from deploy.local.platform import LocalPlatform
from mirage import AsyncClient
from mirage.activity.v1 import event_pb2
from servicekit import outbox
from servicekit.database import Database, asyncpg_dsn
from servicekit.event_kinds import EventKind
from servicekit.events import happened

EVENTS = 20_000
WRITERS = 8
A_TRANSACTION = 50  # events in one, where a change tells of several
PACED = 500
PACE_S = 0.01  # between two events, where it is measured how long one takes
NOTICED = 200
NOTICED_S = 0.05
_SOURCE = "optimizer"  # a service that does nothing meanwhile
_NEW = "SELECT event_id FROM records WHERE seq > $1 ORDER BY seq"
_LAST = "SELECT coalesce(max(seq), 0) FROM records"
_LOOK_S = 0.02


class _Ends(NamedTuple):
    """The two ends of the way."""

    source: Database
    log: asyncpg.Connection


def run() -> Iterator[str]:
    """From the transactions of a service, by its outbox and gRPC, into the chained log of the activity service."""
    with tempfile.TemporaryDirectory() as directory, platform_at(Path(directory) / "home") as platform:
        yield from asyncio.run(_measured(platform))


async def _measured(platform: LocalPlatform) -> list[str]:
    source = Database(platform.base.database_url(_SOURCE), pool_size=WRITERS)
    log = await asyncpg.connect(asyncpg_dsn(platform.base.database_url("activity")))
    ends = _Ends(source, log)
    try:
        await _stored(ends, 1_000, A_TRANSACTION)  # so that everybody is connected
        rates = {count: await _stored(ends, EVENTS, count) for count in (1, A_TRANSACTION)}
        latencies = await _latencies(ends)
        told = await _told_after(platform, ends)
        stored = [
            f"{EVENTS:,} events of {WRITERS} writers, {count:2} in a transaction: {rate:,.0f} events/s"
            for count, rate in rates.items()
        ]
        return [
            *stored,
            f"one event every {PACE_S * 1000:.0f} ms, from its commit to its record: {_told(latencies)}",
            f"one event every {NOTICED_S * 1000:.0f} ms, from its commit to its user's live stream: {_told(told)}",
        ]
    finally:
        await log.close()
        await source.close()


async def _stored(ends: _Ends, events: int, a_transaction: int) -> float:
    """Events a second, from the first transaction to the last record."""
    before = await ends.log.fetchval(_LAST)
    batches = iter(range(0, events, a_transaction))
    began = time.perf_counter()

    async def write() -> None:
        for _ in batches:
            async with ends.source.sessions.begin() as session:
                await outbox.add(session, *(_event() for _ in range(a_transaction)))

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    while await ends.log.fetchval(_LAST) < before + events:  # noqa: ASYNC110 - others write it
        await asyncio.sleep(_LOOK_S)
    return events / (time.perf_counter() - began)


async def _latencies(ends: _Ends) -> Sequence[float]:
    """Seconds from an event's commit until somebody who listens has seen its record."""
    committed: dict[UUID, float] = {}
    seen: dict[UUID, float] = {}
    heard = asyncio.Event()
    await ends.log.add_listener("activity_records", lambda *_heard: heard.set())
    last = await ends.log.fetchval(_LAST)

    async def watch() -> None:
        behind = last
        while len(seen) < PACED:
            await heard.wait()
            heard.clear()
            found = await ends.log.fetch(_NEW, behind)
            behind += len(found)
            seen.update(dict.fromkeys((row["event_id"] for row in found), time.perf_counter()))

    watching = asyncio.create_task(watch())
    for _ in range(PACED):
        event = _event()
        async with ends.source.sessions.begin() as session:
            await outbox.add(session, event)
        committed[UUID(event.event_id)] = time.perf_counter()
        await asyncio.sleep(PACE_S)
    await watching
    return [seen[event_id] - moment for event_id, moment in committed.items()]


async def _told_after(platform: LocalPlatform, ends: _Ends) -> Sequence[float]:
    """Seconds from an event's commit until the stream of the user whom it concerns has brought the notification."""
    seen: dict[str, float] = {}
    committed: dict[str, float] = {}
    async with AsyncClient(platform.url) as client:
        user = await client.register(f"{uuid4().hex}@example.org", "correct horse battery", "Ada")
        warm = _event(UUID(user.id))  # once it has come, the stream is open
        stream = client.notifications.watch()

        async def watch() -> None:
            async for event in stream:
                if event.notification is not None:
                    seen[event.notification.object_id] = time.perf_counter()
                if len(seen) > NOTICED:
                    return

        watching = asyncio.create_task(watch())
        while warm.object_id not in seen:
            warm = _event(UUID(user.id))
            await _commit(ends.source, warm)
            await asyncio.sleep(NOTICED_S)
        seen.clear()
        for _ in range(NOTICED + 1):
            event = _event(UUID(user.id))
            await _commit(ends.source, event)
            committed[event.object_id] = time.perf_counter()
            await asyncio.sleep(NOTICED_S)
        await watching
    return [moment - committed[object_id] for object_id, moment in seen.items() if object_id in committed]


async def _commit(source: Database, event: event_pb2.Event) -> None:
    async with source.sessions.begin() as session:
        await outbox.add(session, event)


def _event(owner: UUID | None = None) -> event_pb2.Event:
    """What a job tells when it has made its table, the largest event there is."""
    owner = owner or uuid4()
    return happened(
        EventKind.JOB_SUCCEEDED,
        "job",
        uuid4(),
        owner_id=owner,
        actor_id=owner,
        actor_role="user",
        related={"dataset_id": uuid4(), "dataset_version_id": f"{uuid4()}:1", "model_id": uuid4()},
        attributes={
            "model_type": "ctgan",
            "engine": "sdv",
            "settings": {"epochs": 100, "batch_size": 500, "generator_dim": [256, 256], "pac": 10},
            "rows": 5000,
            "bytes": 123_456,
            "seconds": {"preparing": 0.2, "training": 12.5, "sampling": 0.4, "evaluating": 3.1},
            "quality_score": 0.87,
            "table_sha256": "0" * 64,
            "model_sha256": "1" * 64,
        },
        personal={"name": "benchmark"},
        request_id=str(uuid4()),
    )


def _told(seconds: Sequence[float]) -> str:
    quantiles = statistics.quantiles(seconds, n=100)
    return f"p50 {quantiles[49] * 1000:.0f} ms, p99 {quantiles[98] * 1000:.0f} ms, longest {max(seconds) * 1000:.0f} ms"
