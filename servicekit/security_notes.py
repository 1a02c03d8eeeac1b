"""Security events of calls, written into the outbox: what is refused has no transaction of its own to be told in.

Nothing waits for it. Events that a stranger can cause at will are told once a minute for each address; how many there
were is told with the next.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.activity.v1 import event_pb2
from servicekit import outbox
from servicekit.event_kinds import EventKind
from servicekit.events import happened
from servicekit.origin import client_address, network_of
from servicekit.security import SecurityEvent

log = structlog.get_logger(__name__)

# A refresh token that comes twice ends a session, and is told in that transaction.
_KINDS: Mapping[SecurityEvent, EventKind] = {
    SecurityEvent.SIGN_IN_FAILED: EventKind.SIGN_IN_FAILED,
    SecurityEvent.API_KEY_REFUSED: EventKind.SIGN_IN_FAILED,
    SecurityEvent.PASSWORD_CONFIRMATION_FAILED: EventKind.SIGN_IN_FAILED,
    SecurityEvent.THROTTLED: EventKind.SIGN_IN_THROTTLED,
    SecurityEvent.TOKEN_FORGED: EventKind.TOKEN_FORGED,
}
# Attempts are counted and limited where they are made; these come after the limit, or before any.
_REPEATED = frozenset({EventKind.SIGN_IN_THROTTLED, EventKind.TOKEN_FORGED})
_TOLD_EVERY_S = 60.0
_ADDRESSES_KEPT = 10_000
_WAITING_MOST = 1_000  # notes that wait for the database; more are in the log lines only
_WRITE_S = 10.0
_LAST_WRITES_S = 2.0  # of a process that stops


class SecurityNotes(AbstractAsyncContextManager["SecurityNotes"]):
    """Writes what `servicekit.security.report` reports of, beside the calls; leaving the block waits for the rest."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._writing: set[asyncio.Task[None]] = set()
        self._told: dict[tuple[EventKind, str], tuple[float, int]] = {}  # when, and how many since

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing:
            await asyncio.wait(self._writing, timeout=_LAST_WRITES_S)

    def hear(self, event: SecurityEvent, fields: Mapping[str, Any]) -> None:
        """Notes an event of the call that is being served."""
        kind = _KINDS.get(event)
        if kind is None or len(self._writing) >= _WAITING_MOST:
            return
        repeated = self._repeated(kind)
        if repeated is None:
            return
        facts = {name: value for name, value in fields.items() if name not in {"subject", "session_id", "key_id"}}
        subject = fields.get("subject")
        note = happened(
            kind,
            "account" if subject else "",
            subject or "",
            owner_id=subject,
            attributes={**facts, "what": event, "times": repeated},
            personal={"address": client_address()},
        )
        task = asyncio.create_task(self._write(note))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _repeated(self, kind: EventKind) -> int | None:
        """How many times it happened since it was told; None where it isn't to be told again yet."""
        if kind not in _REPEATED:
            return 1
        key, now = (kind, network_of(client_address())), time.monotonic()
        told_at, times = self._told.get(key, (float("-inf"), 0))
        if now - told_at < _TOLD_EVERY_S:
            self._told[key] = told_at, times + 1
            return None
        if len(self._told) >= _ADDRESSES_KEPT:
            del self._told[next(iter(self._told))]  # the oldest
        self._told[key] = now, 0
        return times + 1

    async def _write(self, note: event_pb2.Event) -> None:
        try:
            async with asyncio.timeout(_WRITE_S), self._sessions.begin() as session:
                await outbox.add(session, note)
        except Exception as error:  # the log line has told it already
            log.warning("security_event_not_noted", kind=note.kind, error=type(error).__name__)
