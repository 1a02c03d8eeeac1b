"""What is a user's here: told in one export, and forgotten with the account, in a log of which no hash changes."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.audit.people import NotOpened, unseal
from servicekit.holdings import Deleted, Section
from services.activity import forgetting
from services.activity.models import Base, Record

log = structlog.get_logger(__name__)

_PAGE = 200
_FORGOTTEN_AT_ONCE = 2000
_ROUND_S = 5.0
_OWNERS = ("user_id", "owner_id")  # columns that say whose a row is
_LOG_TABLES = frozenset({"records", "people"})
# Columns that an export leaves out: they are no facts about anybody, but let whoever has them in.
_SECRETS = frozenset({"auth", "key", "p256dh", "secret", "token"})


class Holdings:
    """A user's records, and whatever other tables hold that is the user's."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._owned = _owned_tables()

    @property
    def sections(self) -> Sequence[Section]:
        """What an export tells: the records of the user and of what they did, and each table with rows of theirs."""
        return (Section("records", self._records), *(self._section(table, owner) for table, owner in self._owned))

    async def delete(self, user_id: UUID) -> Deleted:
        """Forgets a user whose account is gone, as much as a few seconds allow; the key is the first to go."""
        async with self._sessions.begin() as session:
            await forgetting.destroy_key(session, user_id)
        async with self._sessions.begin() as session:
            found = sum([await forgetting.delete_rows(session, *owned, user_id) for owned in self._owned])
        began = time.monotonic()
        while time.monotonic() - began < _ROUND_S:
            async with self._sessions.begin() as session:
                count = await forgetting.forget_some(session, user_id, _FORGOTTEN_AT_ONCE)
            found += count
            if not count:
                break
        if found:
            log.info("holdings_deleted", found=found)
        return Deleted(found)

    async def _records(self, user_id: UUID) -> AsyncIterator[bytes]:
        async with self._sessions() as session:
            key = await forgetting.key_of(session, user_id)
        after = 0
        while True:
            async with self._sessions() as session:
                page = await forgetting.page_of_records(session, user_id, after, _PAGE)
            for record in page:
                yield _told(record, key)
            if len(page) < _PAGE:
                return
            after = page[-1].seq

    def _section(self, table: Table, owner: str) -> Section:
        async def records(user_id: UUID) -> AsyncIterator[bytes]:
            position: tuple[Any, ...] | None = None
            while True:
                async with self._sessions() as session:
                    page = await forgetting.page_of_rows(session, table, owner, user_id, position, _PAGE)
                for row in page:
                    shown = {name: value for name, value in row.values.items() if name not in _SECRETS}
                    yield json.dumps(shown, ensure_ascii=False).encode()
                if len(page) < _PAGE:
                    return
                position = page[-1].position

        return Section(table.name, records)


def _owned_tables() -> list[tuple[Table, str]]:
    """The tables whose rows are users', each with the column that says whose."""
    return [
        (table, owner)
        for table in Base.metadata.sorted_tables
        if table.name not in _LOG_TABLES
        for owner in _OWNERS
        if owner in table.columns
    ][::-1]  # what refers to others goes before them


def _told(record: Record, key: bytes | None) -> bytes:
    """A record as its person may see it: what is sealed is opened where it is under their own key."""
    personal: dict[str, Any] = {}
    if key is not None and record.sealed:
        try:
            personal = unseal(record.sealed, key, str(record.event_id))
        except NotOpened:  # another's
            personal = {}
    values = {
        "sequence": record.seq,
        "event_id": str(record.event_id),
        "kind": record.kind,
        "service": record.service,
        "occurred_time": record.occurred_time.isoformat(),
        "recorded_time": record.recorded_time.isoformat(),
        "actor_id": str(record.actor_id or ""),
        "actor_role": record.actor_role,
        "owner_id": str(record.owner_id or ""),
        "object_type": record.object_type,
        "object_id": record.object_id,
        "related": record.related,
        "attributes": record.attributes,
        "personal": personal,
        "request_id": record.request_id,
    }
    return json.dumps(values, ensure_ascii=False).encode()
