"""The RPCs of EventService, for the other services."""

from typing import Any, TypeAlias

import grpc.aio
import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.activity.v1 import event_pb2, event_pb2_grpc
from servicekit.errors import InvalidRequest, Violation
from servicekit.identity import caller
from servicekit.timestamps import from_timestamp
from services.activity import recording
from services.activity.convert import Happening, happening_of

log = structlog.get_logger(__name__)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

MOST_EVENTS = 1_000


class EventServicer(event_pb2_grpc.EventServiceServicer):
    """Takes events into the log."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def RecordEvents(
        self, request: event_pb2.RecordEventsRequest, context: Context
    ) -> event_pb2.RecordEventsResponse:
        """Stores events, each once."""
        # Judged by hand: walking through every event by the contract's options takes longer than storing it.
        if len(request.events) > MOST_EVENTS:
            raise InvalidRequest([Violation("events", f"must have at most {MOST_EVENTS} items")])
        sent_time = from_timestamp(request.sent_time, "sent_time") if request.HasField("sent_time") else None
        service = caller().subject
        happenings: list[Happening] = []
        answer = event_pb2.RecordEventsResponse()
        for index, event in enumerate(request.events):
            try:
                happenings.append(happening_of(event))
            except InvalidRequest as error:
                log.warning("event_refused", service_name=service, event_id=event.event_id, fields=_fields(error))
                answer.refused.add(index=index, event_id=event.event_id, description=error.message)
        if happenings:
            async with self._sessions.begin() as session:
                outcome = await recording.record(session, service, happenings, sent_time)
            answer.recorded, answer.known = outcome
        return answer


def _fields(error: InvalidRequest) -> list[str]:
    return [violation.field for violation in error.violations]
