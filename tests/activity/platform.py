"""A running activity service with real parts around it, as its tests use it."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc.aio
from pydantic import SecretStr
from sqlalchemy import func, select, text

from mirage.activity.v1 import event_pb2, event_pb2_grpc
from servicekit.database import Database
from servicekit.ids import new_id
from servicekit.server import running
from servicekit.structs import to_struct
from servicekit.timestamps import to_timestamp, utc_now
from services.activity.models import Base, Record
from services.activity.server import application
from services.activity.settings import Settings
from tests.support.auth_peer import SECRET, serving_auth
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

TABLES = ", ".join((*Base.metadata.tables, "pgqueuer"))
"""Every table of the service, to be emptied."""


@dataclass
class Platform:
    """What a test has at hand."""

    channel: grpc.aio.Channel
    settings: Settings
    database: Database
    tokens: Tokens
    address: str

    async def record(
        self, *events: event_pb2.Event, service: str = "generation", **fields: Any
    ) -> event_pb2.RecordEventsResponse:
        """Sends events as a service does."""
        stub = event_pb2_grpc.EventServiceStub(self.channel)
        request = event_pb2.RecordEventsRequest(events=events, **fields)
        answer: event_pb2.RecordEventsResponse = await stub.RecordEvents(
            request, metadata=(("authorization", f"Bearer {self.tokens.service(service)}"),)
        )
        return answer

    async def records(self) -> list[Record]:
        """The whole log, in its order."""
        async with self.database.sessions() as session:
            return list(await session.scalars(select(Record).order_by(Record.seq)))

    async def count(self) -> int:
        """How many records there are."""
        async with self.database.sessions() as session:
            return int(await session.scalar(select(func.count()).select_from(Record)) or 0)


def event(kind: str = "job.succeeded", **fields: Any) -> event_pb2.Event:
    """An event with everything set, or what `fields` say instead."""
    owner = str(uuid4())
    given = {
        "event_id": str(new_id()),
        "occurred_time": utc_now(),
        "actor_id": owner,
        "actor_role": "user",
        "owner_id": owner,
        "object_type": "job",
        "object_id": str(new_id()),
        "related": {"dataset_id": str(new_id())},
        "attributes": {"rows": 5000, "quality_score": 0.875, "versions": {"torch": "2.13.0"}},
        "personal": {"email": "ada@example.org"},
        "request_id": str(uuid4()),
        "trace_id": uuid4().hex,
        **fields,
    }
    for name in ("attributes", "personal"):
        given[name] = to_struct(given[name])
    given["occurred_time"] = to_timestamp(given["occurred_time"])
    return event_pb2.Event(kind=kind, **given)


@asynccontextmanager
async def open_platform(
    postgres: PostgresForTests, tokens: Tokens, *, empty: bool = True, **changes: Any
) -> AsyncIterator[Platform]:
    """A running service on an empty database, or on what is there; `changes` are settings that differ."""
    async with AsyncExitStack() as stack:
        audit_keys = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        auth_address = await stack.enter_async_context(serving_auth(tokens))
        settings = settings_for(postgres, auth_address, **{"audit_keys_dir": audit_keys, **changes})
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        async with database.sessions.begin() as session:
            if empty:
                await session.execute(text(f"TRUNCATE {TABLES}"))
                await session.execute(text("INSERT INTO views (name, seq) VALUES ('notifications', 0)"))
        address = await stack.enter_async_context(running(settings, application(settings)))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        yield Platform(channel, settings, database, tokens, address)


def settings_for(postgres: PostgresForTests, auth_address: str, **changes: Any) -> Settings:
    """What the service is started with."""
    values: dict[str, Any] = {
        "database_url": SecretStr(postgres.database_url("activity")),
        "auth_address": auth_address,
        "service_client_id": "activity",
        "service_client_secret": SecretStr(SECRET),
        "shutdown_grace_seconds": 0,
        **changes,
    }
    return Settings(**values)
