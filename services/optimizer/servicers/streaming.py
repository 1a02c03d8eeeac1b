"""Streams of a study's events, for whoever may see them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.optimizer.v1 import study_pb2
from servicekit.follow import decode_resume_token
from servicekit.listen import Listener
from servicekit.shared_reads import SharedReads
from services.optimizer import convert, studies
from services.optimizer.convert import ShownEvent
from services.optimizer.models import Study


class StudyStreams:
    """Streams studies, with one read for all who watch the same."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], listener: Listener, heartbeat_s: float) -> None:
        self._sessions = sessions
        self._listener = listener
        self._heartbeat_s = heartbeat_s
        self._shared = SharedReads(self._events_after)

    async def events(self, study: Study, resume_token: str) -> AsyncGenerator[study_pb2.StudyEvent, None]:
        """A study's events from a point on, with heartbeats.

        Raises:
            InvalidRequest: the token is none of this study's.
        """
        after = decode_resume_token(resume_token, study.id)
        batches = studies.follow(study, self._shared, self._listener, after=after, heartbeat_s=self._heartbeat_s)
        async with aclosing(batches):
            async for batch in batches:
                for event in batch:
                    after = event.seq
                    yield event.message
                if not batch:
                    yield convert.heartbeat_to_proto(study.id, after)

    async def _events_after(self, study_id: UUID, seq: int) -> Sequence[ShownEvent]:
        return [convert.shown_event(event) for event in await studies.events_after(self._sessions, study_id, seq)]
