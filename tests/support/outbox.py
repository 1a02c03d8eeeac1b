"""What a service under test has told, as it waits in its outbox."""

from typing import Any

from sqlalchemy import select

from mirage.activity.v1 import event_pb2
from servicekit.database import Database
from servicekit.outbox import OUTBOX
from servicekit.structs import from_struct


async def told(database: Database, owner_id: str = "") -> list[event_pb2.Event]:
    """The events that wait, in their order; those of one owner, if one is named."""
    async with database.sessions() as session:
        rows = await session.scalars(select(OUTBOX.c.event).order_by(OUTBOX.c.id))
        events = [event_pb2.Event.FromString(row) for row in rows]
    return [event for event in events if not owner_id or event.owner_id == owner_id]


async def kinds(database: Database, owner_id: str = "") -> list[str]:
    """What happened, in order."""
    return [event.kind for event in await told(database, owner_id)]


def attributes(event: event_pb2.Event) -> dict[str, Any]:
    """The facts of an event that name nobody."""
    return from_struct(event.attributes)


def personal(event: event_pb2.Event) -> dict[str, Any]:
    """The facts of an event that may name somebody."""
    return from_struct(event.personal)
