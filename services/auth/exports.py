"""Everything that the platform holds about somebody: one JSON document, gathered from every service.

It is gathered on disk before anything of it is sent: whoever gets it gets all of it, however much there is.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import structlog

from servicekit.database import Database
from servicekit.holdings import record_of
from servicekit.identity import Caller
from servicekit.timestamps import utc_now
from servicekit.workspace import Workspace
from services.auth import convert, export_repository, repository
from services.auth.errors import SessionEnded
from services.auth.holders import Holder
from services.auth.models import ApiKey, Session

log = structlog.get_logger(__name__)

FORMAT = "mirage-account-export"
FORMAT_VERSION = 1
DOWNLOADS = {
    "dataset.versions": "GET the record's `download`: the table of that version; `format` may also be csv, jsonl, "
    "json, xlsx. GET /datasets/{dataset_id}/download-url signs a URL of it.",
    "generation.jobs": "GET the record's `download`: the synthetic table; `format` may also be csv, jsonl, json, xlsx, "
    "zip. GET /generation/download-url/{job_id} signs a URL of it.",
    "generation.quality_reports": "GET /generation/report/{job_id}: the same as a page with plots.",
    "generation.models": 'POST to the record\'s `download` with {"n": rows}: rows from the model.',
}

_AT_ONCE = 4
_CHUNK_BYTES = 256 * 1024
_PAGE = 200


class Exports:
    """Gathers what the platform holds about users."""

    def __init__(self, database: Database, holders: Sequence[Holder], workspace: Workspace) -> None:
        self._database = database
        self._holders = holders
        self._workspace = workspace
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def stream(self, caller: Caller) -> AsyncGenerator[bytes, None]:
        """The document about the caller, in pieces; the first comes when it is whole.

        Raises:
            Unavailable: a service can't be reached; no piece comes.
        """
        async with self._room:
            with self._workspace.directory() as directory:
                path = directory / "export.json"
                await self._gather(caller.user_id, path)
                log.info("account_exported", size_bytes=path.stat().st_size)
                with path.open("rb") as file:
                    while piece := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                        yield piece

    async def _gather(self, user_id: UUID, path: Path) -> None:
        with path.open("wb") as file:
            document = _Document(file)
            head = {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "export_time": utc_now().isoformat().replace("+00:00", "Z"),
                "user_id": str(user_id),
                "downloads": DOWNLOADS,
            }
            for name, value in head.items():
                document.field(name, json.dumps(value, ensure_ascii=False).encode())
            await self._own(document, user_id)
            for holder in self._holders:
                await self._held(document, holder, user_id)
            document.close()

    async def _held(self, document: "_Document", holder: Holder, user_id: UUID) -> None:
        document.open_object(holder.name)
        async with aclosing(holder.export(user_id)) as batches:
            async for batch in batches:
                document.section(batch.section)
                await asyncio.to_thread(document.records, batch.records, partial=batch.partial)
        document.close_object()

    async def _own(self, document: "_Document", user_id: UUID) -> None:
        """What this service holds itself: no hash, of a password or a key, is among it."""
        async with self._database.sessions() as session:
            user = await repository.get_user(session, user_id)
            profile = await repository.get_profile(session, user_id)
        if user is None:
            raise SessionEnded
        document.open_object("auth")
        account = record_of(convert.user_to_proto(user), password_change_time=_time(user.password_changed_at))
        document.field("account", account)
        document.field("profile", record_of(convert.profile_to_proto(profile)) if profile else b"null")
        document.section("sessions")
        async for each in self._sessions(user_id):
            document.records([_session_record(each)])
        document.section("api_keys")
        async for key in self._keys(user_id):
            document.records([record_of(convert.api_key_to_proto(key), delete_time=_time(key.deleted_at))])
        document.close_object()

    async def _sessions(self, user_id: UUID) -> AsyncIterator[Session]:
        after: UUID | None = None
        while True:
            async with self._database.sessions() as session:
                page = await export_repository.page_of_sessions(session, user_id, after=after, limit=_PAGE)
            for each in page:
                yield each
            if len(page) < _PAGE:
                return
            after = page[-1].id

    async def _keys(self, user_id: UUID) -> AsyncIterator[ApiKey]:
        after: UUID | None = None
        while True:
            async with self._database.sessions() as session:
                page = await export_repository.page_of_keys(session, user_id, after=after, limit=_PAGE)
            for each in page:
                yield each
            if len(page) < _PAGE:
                return
            after = page[-1].id


class _Document:
    """A JSON object that is written from its beginning to its end: of fields, and of objects of lists of records."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._file.write(b"{")
        self._is_first = True  # of what it stands in
        self._section: str | None = None  # the list that is open
        self._goes_on = False  # the last record isn't written whole

    def field(self, name: str, value: bytes) -> None:
        """Writes a field."""
        self._close_section()
        self._separate()
        self._file.write(json.dumps(name).encode() + b": " + value)

    def open_object(self, name: str) -> None:
        """Begins an object."""
        self.field(name, b"{")
        self._is_first = True

    def close_object(self) -> None:
        """Ends the object."""
        self._close_section()
        self._file.write(b"}")
        self._is_first = False

    def section(self, name: str) -> None:
        """Begins a list, unless it is the one that is open."""
        if name != self._section:
            self.field(name, b"[")
            self._section, self._is_first = name, True

    def records(self, records: Sequence[bytes], *, partial: bool = False) -> None:
        """Writes records into the list that is open; if they are partial, the last one goes on the next time."""
        for record in records:
            if not self._goes_on:
                self._separate()
            self._goes_on = False
            self._file.write(record)
        self._goes_on = partial

    def close(self) -> None:
        """Ends the document."""
        self._file.write(b"}\n")

    def _separate(self) -> None:
        self._file.write(b"\n" if self._is_first else b",\n")
        self._is_first = False

    def _close_section(self) -> None:
        if self._section is not None:
            self._file.write(b"]")
            self._section, self._is_first = None, False


def _session_record(session: Session) -> bytes:
    values: dict[str, Any] = {
        "session_id": str(session.id),
        "user_agent": session.user_agent,
        "address": session.address,
        "create_time": _time(session.created_at),
        "last_use_time": _time(session.last_used_at),
        "expire_time": _time(session.expires_at),
        "end_time": _time(session.ended_at),
        "end_cause": session.end_cause or "",
        "scopes": session.scopes,
    }
    return json.dumps(values, ensure_ascii=False).encode()


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
