"""Streams of events that are rows: from any point on, without a gap or a double, to the last one."""

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from servicekit import trace_context
from servicekit.errors import InvalidRequest, Unavailable, Violation
from servicekit.listen import Listener
from servicekit.patience import DATABASE_ERRORS

log = structlog.get_logger(__name__)

_AWAY_PAUSE_S = 1.0


class StreamMoved(Unavailable):
    """The process that sends a stream stops; another, or its successor, goes on from the last event's token."""

    reason = "STREAM_MOVED"

    def __init__(self) -> None:
        super().__init__("service")
        self.message = "This stream ends because the service is restarted. Watch on from its last resume_token."


class Event(Protocol):
    """A row of an event table."""

    @property
    def seq(self) -> int:
        """Its number among the events of its object, from 1, without gaps."""
        ...

    @property
    def last(self) -> bool:
        """Whether nothing comes after it."""
        ...


EventT = TypeVar("EventT", bound=Event)


async def follow(
    fetch: Callable[[int], Awaitable[Sequence[EventT]]],
    listener: Listener,
    channel: str,
    key: str,
    *,
    after: int = 0,
    heartbeat_s: float = 15.0,
) -> AsyncIterator[Sequence[EventT]]:
    """Yields the events after a sequence number as they come, in batches; an empty batch is a heartbeat.

    While the database is away nothing comes but heartbeats. Where the process stops, a last heartbeat tells where to
    go on.

    Args:
        fetch: reads the events after a sequence number, in order, with a session of its own.
        listener: hears the announcements.
        channel: on which events are announced.
        key: the payload of the announcements: the object's id.
        after: the sequence number to begin behind.
        heartbeat_s: after how many idle seconds a heartbeat is due.

    Raises:
        StreamMoved: the process stops before the last event.
    """
    # Subscribed first, read second: what is announced in between is read, not missed.
    async with listener.subscribe(channel, key) as subscription:
        while True:
            try:
                with trace_context.unrecorded():  # to watch is one thing, however often something comes
                    events = await fetch(after)
            except DATABASE_ERRORS as error:
                log.warning("events_not_read", error=type(error).__name__)
                if not await subscription.wait(_AWAY_PAUSE_S):
                    yield ()
                if not listener.winding_down:
                    continue
                events = ()
            if events:
                after = events[-1].seq
                yield events
                if events[-1].last:
                    return
            elif listener.winding_down:
                yield ()
                raise StreamMoved
            elif not await subscription.wait(heartbeat_s):
                yield ()


def encode_resume_token(object_id: UUID, seq: int) -> str:
    """The token that resumes after an event of an object."""
    return base64.urlsafe_b64encode(object_id.bytes + seq.to_bytes(4)).rstrip(b"=").decode()


def decode_resume_token(token: str, object_id: UUID) -> int:
    """The sequence number in a token; 0 for no token.

    Raises:
        InvalidRequest: the token is none of ours, or of another object.
    """
    if not token:
        return 0
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    # No stream has more events than a database's integer counts.
    if len(content) != 20 or content[:16] != object_id.bytes or content[16] > 127:
        raise InvalidRequest([Violation("resume_token", "must be the resume_token of an event of this stream")])
    return int.from_bytes(content[16:])
