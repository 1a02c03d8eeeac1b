"""What is a user's here: told in one export, deleted with the account."""

import time
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import outbox
from servicekit.holdings import Deleted, Section, record_of
from services.optimizer import convert, events, repository, studies
from services.optimizer.models import DEPARTURES, Study
from services.optimizer.repository import StudyFilter

log = structlog.get_logger(__name__)

_PAGE = 100
_DELETED_AT_ONCE = 20
_ROUND_S = 5.0


class Holdings:
    """A user's studies with their trials. What trials have made is the generation service's to delete."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    @property
    def sections(self) -> Sequence[Section]:
        """What an export tells."""
        return (
            Section("studies", self._studies),
            Section("trials", self._trials),
            Section("study_events", self._events),
        )

    async def delete(self, user_id: UUID) -> Deleted:
        """Stops and deletes what is a user's whose account is gone, as much of it as a few seconds allow."""
        async with self._sessions.begin() as session:
            await DEPARTURES.depart(session, user_id)
            await repository.forget_keys_of(session, user_id)
        began, found = time.monotonic(), 0
        while time.monotonic() - began < _ROUND_S:
            async with self._sessions.begin() as session:
                doomed = await repository.lock_studies_of(session, user_id, _DELETED_AT_ONCE)
                for study in doomed:
                    await studies.stop(session, study)
                    await events.announce(session, study)
                    await repository.delete_study(session, study)
            found += len(doomed)
            if not doomed:
                break
        if found:
            log.info("holdings_deleted", found=found)
        async with self._sessions.begin() as session:
            return Deleted(found, pending=await outbox.settle(session, user_id))

    async def _all(self, user_id: UUID) -> AsyncIterator[Study]:
        before: UUID | None = None
        while True:
            async with self._sessions() as session:
                page = await repository.page_studies(session, StudyFilter(user_id), before, _PAGE)
            for study in page:
                yield study
            if len(page) < _PAGE:
                return
            before = page[-1].id

    async def _studies(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for study in self._all(user_id):
            async with self._sessions() as session:
                best = (await repository.best_trials(session, [study])).get(study.id)
            yield record_of(convert.study_to_proto(study, best), dataset_name=study.dataset_name)

    async def _trials(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for study in self._all(user_id):
            async with self._sessions() as session:
                trials = await repository.trials_of(session, study.id)
            for trial in trials:
                yield record_of(convert.trial_to_proto(trial))

    async def _events(self, user_id: UUID) -> AsyncIterator[bytes]:
        async for study in self._all(user_id):
            after = 0
            while True:
                async with self._sessions() as session:
                    page = await repository.events_after(session, study.id, after, _PAGE)
                for event in page:
                    yield record_of(convert.event_to_proto(event))
                if len(page) < _PAGE:
                    break
                after = page[-1].seq
