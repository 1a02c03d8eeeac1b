"""What happened, from a service's transaction to the log: the real database, the real activity service."""

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest_asyncio
from sqlalchemy import select

from mirage.activity.v1 import event_pb2
from servicekit import outbox
from servicekit.event_kinds import EventKind
from servicekit.events import happened
from servicekit.outbox import OUTBOX
from services.activity.models import Record
from tests.activity.test_chain import assert_whole
from tests.support.event_source import SERVICE, Source, open_source, until
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest_asyncio.fixture
async def source(postgres: PostgresForTests, tokens: Tokens, tmp_path: Path) -> AsyncIterator[Source]:
    """A service with nothing told yet, and an empty log."""
    async with open_source(postgres, tokens, tmp_path) as opened:
        yield opened


async def test_what_is_committed_is_told(source: Source) -> None:
    """An event reaches the log in its source's name once its transaction is committed; of one that isn't, none does."""
    async with source.logging(), source.delivering():
        async with source.own.sessions() as session:
            await outbox.add(session, happened(EventKind.STUDY_FAILED, "study", "undone"))
            await session.rollback()
        [told] = await source.tell(trials=3)
        await until(lambda: _equal(source.logged(), [told]))
        await until(lambda: _equal(source.waiting(), 0))
    async with source.activity.sessions() as session:
        record = (await session.scalars(select(Record))).one()
    assert (record.service, record.kind, record.attributes) == (SERVICE, "study.created", {"trials": 3})


async def test_nothing_waits_while_the_log_is_away(source: Source) -> None:
    """With the log away, changes go on and their events are kept; once it is back they arrive, in order, each once."""
    async with source.delivering():
        early = await source.tell(30)
        assert await source.waiting() == 30
        async with source.logging():
            await until(lambda: _equal(source.waiting(), 0))
        late = await source.tell(5)
        async with source.logging():
            await until(lambda: _equal(source.waiting(), 0))
    assert await source.logged() == early + late


async def test_one_delivers_and_another_takes_over(source: Source) -> None:
    """Of two processes one delivers; when it is gone, the other does."""
    async with source.logging(), source.delivering():
        async with source.delivering():
            told = await source.tell(3)
            await until(lambda: _equal(source.waiting(), 0))
        told += await source.tell(3)
        await until(lambda: _equal(source.waiting(), 0))
    assert await source.logged() == told


async def test_events_that_can_not_be_stored(source: Source) -> None:
    """What the log refuses, and what is no event at all, is set aside with the reason; what is behind it arrives."""
    wrong = event_pb2.Event(event_id="x", kind="Nothing")
    async with source.own.sessions.begin() as session:
        await outbox.add(session, wrong)
        await session.execute(OUTBOX.insert().values(event=b"\xff\xff"))
    told = await source.tell(2)
    async with source.logging(), source.delivering():
        await until(lambda: _equal(source.logged(), told))
        await until(lambda: _equal(source.waiting(), 0))
    async with source.own.sessions() as session:
        faults = list(await session.scalars(select(OUTBOX.c.fault).order_by(OUTBOX.c.id)))
    assert [fault.split(":")[0] for fault in faults] == ["kind", "It is no event."]
    assert "event_id: must be an id" in faults[0]


async def test_more_than_one_message_holds(source: Source) -> None:
    """A backlog of more events, and more bytes, than one message takes goes out in several."""
    async with source.own.sessions.begin() as session:
        events = [
            happened(EventKind.STUDY_CREATED, "study", str(n), attributes={"note": "x" * (50_000 if n < 150 else 10)})
            for n in range(700)
        ]
        await outbox.add(session, *events)
    async with source.logging(), source.delivering():
        await until(lambda: _equal(source.waiting(), 0))
    assert await source.logged() == [event.event_id for event in events]
    async with source.activity.sessions() as session:
        assert_whole(list(await session.scalars(select(Record).order_by(Record.seq))))


async def _equal(found: Awaitable[object], expected: object) -> bool:
    return await found == expected
