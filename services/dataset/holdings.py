"""What is a user's here: told in one export, deleted with the account."""

import time
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import structlog
from google.protobuf.json_format import MessageToDict
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import outbox
from servicekit.holdings import Deleted, Section, record_of
from servicekit.object_store import ObjectStore
from services.dataset import convert, deletion, repository
from services.dataset.models import IdempotencyKey, departures, loose_objects
from services.dataset.repository import DatasetFilter, View

log = structlog.get_logger(__name__)

_PAGE = 100
_DELETED_AT_ONCE = 50
_ROUND_S = 5.0


class Holdings:
    """A user's datasets, with their versions and profiles, and what is on its way to become one."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], store: ObjectStore) -> None:
        self._sessions = sessions
        self._store = store

    @property
    def sections(self) -> Sequence[Section]:
        """What an export tells."""
        return (
            Section("datasets", self._datasets),
            Section("versions", self._versions),
            Section("events", self._events),
        )

    async def delete(self, user_id: UUID) -> Deleted:
        """Deletes what is a user's whose account is gone, as much of it as a few seconds allow."""
        async with self._sessions.begin() as session:
            await departures.depart(session, user_id)
            await session.execute(delete(IdempotencyKey).where(IdempotencyKey.owner_id == user_id))
        began, found = time.monotonic(), 0
        while time.monotonic() - began < _ROUND_S:
            async with self._sessions.begin() as session:
                doomed = await repository.lock_all_of(session, user_id, _DELETED_AT_ONCE)
                for dataset in doomed:
                    await deletion.delete_rows(session, dataset)
            found += len(doomed)
            if len(doomed) < _DELETED_AT_ONCE:
                break
        else:
            return Deleted(max(found, 1))
        # Files that are on their way are named by nothing but their mark.
        async with self._sessions.begin() as session:
            found += await loose_objects.hasten_all(session, f"{user_id}/")
        await loose_objects.remove_due(self._sessions, self._store)
        found += await self._store.remove_prefix(f"{user_id}/")
        if found:
            log.info("holdings_deleted", found=found)
        async with self._sessions.begin() as session:
            return Deleted(found, pending=await outbox.settle(session, user_id))

    async def _views(self, user_id: UUID) -> AsyncIterator[View]:
        before: UUID | None = None
        while True:
            async with self._sessions() as session:
                page = await repository.page_datasets(session, DatasetFilter(user_id), before, _PAGE)
            for view in page:
                yield view
            if len(page) < _PAGE:
                return
            before = page[-1].dataset.id

    async def _datasets(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for view in self._views(user_id):
            dataset = view.dataset
            yield record_of(
                convert.dataset_to_proto(view),
                personal_data_by_hand=dataset.personal_data_by_hand,
                personal_data_confirmed=dataset.personal_data_confirmed,
            )

    async def _versions(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for view in self._views(user_id):
            before: int | None = None
            while True:
                async with self._sessions() as session:
                    page = await repository.page_versions(session, view.dataset.id, before, _PAGE)
                for version in page:
                    yield await self._version(View(view.dataset, version), user_id)
                if len(page) < _PAGE:
                    break
                before = page[-1].number

    async def _version(self, view: View, user_id: UUID) -> bytes:
        version = view.version
        async with self._sessions() as session:
            profile = await repository.profile_of(session, version)
        told = MessageToDict(convert.profile_to_proto(view, profile, user_id), preserving_proto_field_name=True)
        ready = version.table_key is not None
        where = f"/datasets/{version.dataset_id}/export?version={version.number}&format=parquet"
        return record_of(
            convert.version_to_proto(version),
            source_name=version.source_name,
            columns=version.columns,
            profile=told if ready else None,
            download=where if ready else "",
        )

    async def _events(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for view in self._views(user_id):
            after = 0
            while True:
                async with self._sessions() as session:
                    page = await repository.events_after(session, view.dataset.id, after, _PAGE)
                for event in page:
                    yield record_of(convert.event_to_proto(event))
                if len(page) < _PAGE:
                    break
                after = page[-1].seq
