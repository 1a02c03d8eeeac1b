"""The platform's log, as tests of the whole platform look into it."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from servicekit.database import asyncpg_dsn
from tests.support.platform import PlatformForTests

_OF_OWNER = """
    SELECT seq, service, kind, actor_id, owner_id, object_type, object_id, related, attributes, request_id
    FROM records WHERE owner_id = $1::text::uuid ORDER BY seq
"""


@dataclass(frozen=True)
class Told:
    """A record of the log."""

    seq: int
    service: str
    kind: str
    actor_id: str
    owner_id: str
    object_type: str
    object_id: str
    related: Mapping[str, str]
    attributes: Mapping[str, Any]
    request_id: str


def told_of(platform: PlatformForTests, owner_id: str) -> list[Told]:
    """What the log has of somebody's things, in its order."""
    return asyncio.run(_told_of(platform, owner_id))


def told_once(
    platform: PlatformForTests, owner_id: str, enough: Callable[[list[Told]], bool], timeout_s: float = 60.0
) -> list[Told]:
    """What the log has of somebody's things, once that is enough: events arrive a moment after what they tell of."""
    deadline = time.monotonic() + timeout_s
    while not enough(told := told_of(platform, owner_id)):
        assert time.monotonic() < deadline, [each.kind for each in told]
        time.sleep(0.05)
    return told


async def _told_of(platform: PlatformForTests, owner_id: str) -> list[Told]:
    connection = await asyncpg.connect(asyncpg_dsn(platform.platform.base.database_url("activity")))
    try:
        return [_told(row) for row in await connection.fetch(_OF_OWNER, owner_id)]
    finally:
        await connection.close()


def _told(row: asyncpg.Record) -> Told:
    values = dict(row)
    for name in ("related", "attributes"):
        values[name] = json.loads(values[name])
    for name in ("actor_id", "owner_id"):
        values[name] = str(values[name] or "")
    return Told(**values)
