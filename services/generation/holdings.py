"""What is a user's here: told in one export, deleted with the account."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import outbox
from servicekit.holdings import Deleted, Section, record_of
from servicekit.object_store import ObjectStore
from services.generation import convert, held, jobs, repository
from services.generation.dispatch import Dispatcher
from services.generation.models import DEPARTURES, Job, Model
from services.generation.repository import LOOSE_OBJECTS
from services.generation.states import JobState, Purpose

log = structlog.get_logger(__name__)

_PAGE = 100
_DELETED_AT_ONCE = 200
_ROUND_S = 5.0

RowT = TypeVar("RowT", Job, Model)


class Holdings:
    """A user's jobs with their tables and reports, and models."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], dispatcher: Dispatcher, store: ObjectStore) -> None:
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._store = store

    @property
    def sections(self) -> Sequence[Section]:
        """What an export tells."""
        return (
            Section("jobs", self._jobs),
            Section("job_events", self._events),
            Section("quality_reports", self._reports),
            Section("models", self._models),
            Section("search_jobs", self._search_jobs),
        )

    async def delete(self, user_id: UUID) -> Deleted:
        """Stops and deletes what is a user's whose account is gone, as much of it as a few seconds allow."""
        async with self._sessions.begin() as session:
            await DEPARTURES.depart(session, user_id)
            await held.forget_keys_of(session, user_id)
        began, found = time.monotonic(), 0
        while time.monotonic() - began < _ROUND_S:
            async with self._sessions.begin() as session:
                count = await jobs.delete_some_of(session, self._dispatcher, user_id, _DELETED_AT_ONCE)
            found += count
            if not count:
                break
        else:
            return Deleted(max(found, 1))
        async with self._sessions.begin() as session:
            found += await LOOSE_OBJECTS.hasten_all(session, f"{user_id}/")
        await LOOSE_OBJECTS.remove_due(self._sessions, self._store)
        found += await self._store.remove_prefix(f"{user_id}/")
        if found:
            log.info("holdings_deleted", found=found)
        async with self._sessions.begin() as session:
            return Deleted(found, pending=await outbox.settle(session, user_id))

    async def _jobs(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for job in self._rows(held.page_jobs, user_id, Purpose.JOB):
            has_table = job.state is JobState.SUCCEEDED and job.table_key is not None
            yield record_of(
                convert.job_to_proto(job),
                dataset_name=job.dataset_name,
                optimization=job.optimization,
                sensitive_columns=job.sensitive_columns,
                download=f"/generation/download/{job.id}?format=parquet" if has_table else "",
            )

    async def _search_jobs(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for job in self._rows(held.page_jobs, user_id, Purpose.TRIAL):
            yield record_of(convert.job_to_proto(job), trial_number=job.trial_number)

    async def _events(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for job in self._rows(held.page_jobs, user_id, Purpose.JOB):
            after = 0
            while True:
                async with self._sessions() as session:
                    page = await repository.events_after(session, job.id, after, _PAGE)
                for event in page:
                    yield record_of(convert.event_to_proto(event))
                if len(page) < _PAGE:
                    break
                after = page[-1].seq

    async def _reports(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for job in self._rows(held.page_jobs, user_id, Purpose.JOB):
            async with self._sessions() as session:
                report = await repository.find_report(session, job.id)
            if report is not None:
                yield record_of(convert.stored_report_to_proto(report))

    async def _models(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for model in self._rows(held.page_models, user_id):
            yield record_of(convert.model_to_proto(model), download=f"/generation/models/{model.id}/sample")

    async def _rows(
        self, page_of: Callable[..., Awaitable[Sequence[RowT]]], user_id: UUID, *more: Any
    ) -> AsyncIterator[RowT]:
        after: UUID | None = None
        while True:
            async with self._sessions() as session:
                page = await page_of(session, user_id, *more, after=after, limit=_PAGE)
            for row in page:
                yield row
            if len(page) < _PAGE:
                return
            after = page[-1].id
