"""Following a stream of events to its end, whatever happens to the connection on the way."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol, TypeVar

import anyio

from mirage.errors import (
    ConnectionFailed,
    ConnectionLost,
    LimitExceeded,
    MirageError,
    NotSignedIn,
    TimedOut,
    Unavailable,
)

# The platform sends a heartbeat into an idle stream several times in this while; a longer silence is a dead connection.
SILENCE_S = 90.0
# How long a connection that is gone is tried again before giving up.
PATIENCE_S = 120.0
# How long a first one is, where the platform is there and says that a part of it isn't ready.
FIRST_PATIENCE_S = 15.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class Event(Protocol):
    """What every event stream of the platform carries."""

    @property
    def sequence(self) -> int:
        """The event's number, from 1 without gaps; 0 for a heartbeat."""
        ...

    @property
    def resume_token(self) -> str:
        """To resume after this event."""
        ...

    @property
    def ended(self) -> bool:
        """Whether nothing is expected after it."""
        ...


E = TypeVar("E", bound=Event)


async def follow(
    open_stream: Callable[[str], AsyncGenerator[E, None]],
    is_over: Callable[[], Awaitable[bool]],
    *,
    resume_token: str = "",
    timeout_s: float | None = None,
) -> AsyncGenerator[E, None]:
    """Yields each event once, in order, from the one after `resume_token` to the last; heartbeats stay out.

    A stream that breaks is opened again where it broke off. One that ends is opened once more if `is_over` says that
    nothing will follow, to get what came between.

    Raises:
        MirageError: if the first connection fails (a part that is just being restarted has 15 seconds to come back),
            or a lost one doesn't come back within two minutes.
        TimedOut: if the last event hasn't come `timeout_s` seconds after the call.
    """
    began = anyio.current_time()
    deadline = began + (float("inf") if timeout_s is None else timeout_s)
    latest = 0
    connected_at: float | None = None
    pause_s = FIRST_PAUSE_S
    over = False
    while True:
        heard = False
        try:
            async with aclosing(open_stream(resume_token)) as stream:
                while (event := await _next(stream, deadline)) is not None:
                    heard, connected_at, pause_s = True, anyio.current_time(), FIRST_PAUSE_S
                    if event.sequence > latest:
                        latest, resume_token, over = event.sequence, event.resume_token, event.ended
                        yield event
            if over:
                return
            connected_at = anyio.current_time()
            over = await is_over()
            if over or heard:
                continue
        except MirageError as error:
            if connected_at is None:
                waits = _restarts(error) and anyio.current_time() - began < FIRST_PATIENCE_S
            else:
                waits = _passes(error, heard) and anyio.current_time() - connected_at <= PATIENCE_S
            if not waits:
                raise
            pause_s = max(pause_s, error.retry_after_s or 0.0)
        await anyio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def _restarts(error: MirageError) -> bool:
    """Whether the platform is there, and only a part of it isn't."""
    return isinstance(error, Unavailable) and not isinstance(error, ConnectionFailed)


def _passes(error: MirageError, heard: bool) -> bool:
    """Whether trying again may help: a token may end under an open stream; at the opening it is renewed elsewhere."""
    return isinstance(error, Unavailable | LimitExceeded) or (heard and isinstance(error, NotSignedIn))


async def _next(stream: AsyncGenerator[E, None], deadline: float) -> E | None:
    now = anyio.current_time()
    with anyio.move_on_after(min(SILENCE_S, deadline - now)):
        return await anext(stream, None)
    if anyio.current_time() >= deadline:
        raise TimedOut("It hasn't ended in the time given; it goes on.", reason="WAIT_TIMED_OUT")
    raise ConnectionLost("The platform has fallen silent.")
