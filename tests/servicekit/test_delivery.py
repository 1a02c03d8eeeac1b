"""What happened, from a service's transaction to the log: the real database, the real activity service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import func, select, text

from deploy.local.ports import free_port
from mirage.activity.v1 import event_pb2
from servicekit import outbox
from servicekit.clients import ServiceIdentity, open_channel
from servicekit.database import Database
from servicekit.delivery import delivering
from servicekit.event_kinds import EventKind
from servicekit.events import happened
from servicekit.outbox import OUTBOX
from servicekit.server import running
from servicekit.settings import ActivitySettings, PeerSettings
from services.activity.models import Record
from services.activity.server import application
from tests.activity.platform import TABLES, settings_for
from tests.activity.test_chain import assert_whole
from tests.support.auth_peer import SECRET, serving_auth
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

SERVICE = "optimizer"


@dataclass
class Source:
    """A service that tells what happens, and the log that is told."""

    postgres: PostgresForTests
    auth_address: str
    activity_port: int
    audit_keys: Path
    own: Database
    activity: Database

    async def tell(self, count: int = 1, **attributes: Any) -> list[str]:
        """Some events, each in a transaction of its own; their ids."""
        events = [happened(EventKind.STUDY_CREATED, "study", str(n), attributes=attributes) for n in range(count)]
        for event in events:
            async with self.own.sessions.begin() as session:
                await outbox.add(session, event)
        return [event.event_id for event in events]

    @asynccontextmanager
    async def logging(self) -> AsyncIterator[None]:
        """The activity service, while the block runs."""
        settings = settings_for(
            self.postgres, self.auth_address, grpc_port=self.activity_port, audit_keys_dir=self.audit_keys
        )
        async with running(settings, application(settings)):
            yield

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """A process of the service that delivers, while the block runs."""
        settings = ActivitySettings(activity_address=f"127.0.0.1:{self.activity_port}")
        peer = PeerSettings(
            auth_address=self.auth_address, service_client_id=SERVICE, service_client_secret=SecretStr(SECRET)
        )
        async with (
            open_channel(self.auth_address, None) as auth,
            delivering(settings, self.own, ServiceIdentity(auth, peer)),
        ):
            yield

    async def logged(self) -> list[str]:
        """Ids of the events in the log."""
        async with self.activity.sessions() as session:
            return [str(event_id) for event_id in await session.scalars(select(Record.event_id).order_by(Record.seq))]

    async def waiting(self) -> int:
        """How many events haven't gone out."""
        async with self.own.sessions() as session:
            return int(await session.scalar(select(func.count()).where(OUTBOX.c.set_aside_at.is_(None))) or 0)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def source(postgres: PostgresForTests, tokens: Tokens, tmp_path: Path) -> AsyncIterator[Source]:
    """A service with nothing told yet, and an empty log."""
    async with AsyncExitStack() as stack:
        auth_address = await stack.enter_async_context(serving_auth(tokens))
        own, activity = (Database(postgres.database_url(name)) for name in (SERVICE, "activity"))
        for database, tables in ((own, "outbox"), (activity, TABLES)):
            stack.push_async_callback(database.close)
            async with database.sessions.begin() as session:
                await session.execute(text(f"TRUNCATE {tables}"))
        yield Source(postgres, auth_address, free_port(), tmp_path, own, activity)


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
