"""Streams of events: no gap, no double, from any point, across a lost connection."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.database import asyncpg_dsn
from servicekit.errors import InvalidRequest
from servicekit.follow import StreamMoved, decode_resume_token, encode_resume_token, follow
from servicekit.listen import Listener
from tests.support.postgres import PostgresForTests


@dataclass(frozen=True)
class _Event:
    seq: int
    last: bool = False


class _Log:
    """Events of one object, announced over the real database."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.key = str(uuid4())
        self.events: list[_Event] = []

    async def fetch(self, after: int) -> Sequence[_Event]:
        return [event for event in self.events if event.seq > after]

    async def add(self, *, last: bool = False) -> None:
        self.events.append(_Event(len(self.events) + 1, last))
        connection = await asyncpg.connect(self.dsn)
        await connection.execute("SELECT pg_notify('test_events', $1)", self.key)
        await connection.close()


@pytest.fixture
def log(postgres: PostgresForTests) -> _Log:
    return _Log(asyncpg_dsn(postgres.database_url("auth")))


@pytest.fixture
async def listener(log: _Log) -> AsyncIterator[Listener]:
    async with Listener(log.dsn, "test_events") as listening:
        yield listening


async def _collect(log: _Log, listener: Listener, after: int = 0) -> list[int]:
    seen: list[int] = []
    async for batch in follow(log.fetch, listener, "test_events", log.key, after=after, heartbeat_s=30):
        seen.extend(event.seq for event in batch)
    return seen


async def test_follows_to_the_end(log: _Log, listener: Listener) -> None:
    """A subscriber gets what was there and what comes, once each, and the last event ends the stream."""
    await log.add()
    following = asyncio.create_task(_collect(log, listener))
    for _ in range(5):
        await log.add()
    await log.add(last=True)
    assert await following == [1, 2, 3, 4, 5, 6, 7]


async def test_resumes(log: _Log, listener: Listener) -> None:
    """A subscriber that comes back begins behind what it has seen."""
    for _ in range(3):
        await log.add()
    await log.add(last=True)
    assert await _collect(log, listener, after=2) == [3, 4]


async def test_heartbeat(log: _Log, listener: Listener) -> None:
    """An idle stream yields heartbeats."""
    stream = follow(log.fetch, listener, "test_events", log.key, heartbeat_s=0.01)
    assert [await anext(stream), await anext(stream)] == [(), ()]
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_survives_a_lost_connection(log: _Log, listener: Listener) -> None:
    """What was announced while the listening connection was lost still arrives."""
    following = asyncio.create_task(_collect(log, listener))
    await log.add()
    admin = await asyncpg.connect(log.dsn)
    ended = await admin.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE usename = current_user AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%test_events%'"
    )
    await admin.close()
    assert ended
    await log.add(last=True)
    assert await asyncio.wait_for(following, 30) == [1, 2]


async def test_survives_a_database_away(log: _Log, listener: Listener) -> None:
    """While events can't be read there are heartbeats; what came meanwhile is told once they can be."""
    await log.add(last=True)
    away = 2

    async def fetch(after: int) -> Sequence[_Event]:
        nonlocal away
        away -= 1
        if away >= 0:
            raise ConnectionRefusedError
        return await log.fetch(after)

    batches = [batch async for batch in follow(fetch, listener, "test_events", log.key)]
    assert [[event.seq for event in batch] for batch in batches] == [[], [], [1]]


async def test_ends_when_the_process_stops(log: _Log, listener: Listener) -> None:
    """Where the process stops, what happened until then is told, and a last heartbeat; then the stream moves."""
    await log.add()
    seen: list[list[int]] = []

    async def collect() -> None:
        async for batch in follow(log.fetch, listener, "test_events", log.key, heartbeat_s=30):
            seen.append([event.seq for event in batch])
            listener.wind_down()

    with pytest.raises(StreamMoved):
        await asyncio.wait_for(collect(), 30)
    assert seen == [[1], []]


def test_resume_token() -> None:
    """A token is good for its own object only."""
    first, second = uuid4(), uuid4()
    assert decode_resume_token(encode_resume_token(first, 77), first) == 77
    assert decode_resume_token("", first) == 0
    with pytest.raises(InvalidRequest):
        decode_resume_token(encode_resume_token(first, 77), second)


@given(st.text(min_size=1))
def test_forged_resume_token(token: str) -> None:
    """Whatever somebody makes up is refused as a wrong field."""
    with pytest.raises(InvalidRequest):
        decode_resume_token(token, uuid4())
