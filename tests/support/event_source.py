"""A service that tells what happens, and the activity service that is told: real ones, by way of the outbox."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, select, text

from deploy.local.ports import free_port
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

    async def tell_at_once(self, count: int, times: int) -> list[str]:
        """So many events in one transaction, in so many transactions; their ids."""
        told: list[str] = []
        for _ in range(times):
            events = [happened(EventKind.STUDY_CREATED, "study", str(n)) for n in range(count)]
            async with self.own.sessions.begin() as session:
                await outbox.add(session, *events)
            told += [event.event_id for event in events]
        return told

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
    async with asyncio.timeout(200):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.02)


@asynccontextmanager
async def open_source(postgres: PostgresForTests, tokens: Tokens, audit_keys: Path) -> AsyncIterator[Source]:
    """A service with nothing told yet, and an empty log, whose keys are in a directory."""
    async with AsyncExitStack() as stack:
        auth_address = await stack.enter_async_context(serving_auth(tokens))
        own, activity = (Database(postgres.database_url(name)) for name in (SERVICE, "activity"))
        for database, tables in ((own, "outbox"), (activity, TABLES)):
            stack.push_async_callback(database.close)
            async with database.sessions.begin() as session:
                await session.execute(text(f"TRUNCATE {tables}"))
        yield Source(postgres, auth_address, free_port(), audit_keys, own, activity)
