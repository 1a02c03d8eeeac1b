"""One piece of work from a queue in a process's hands: done, failed, called off, or given back.

Between two words of whoever does the work, somebody may have cancelled or deleted what it is about, or another process
may have it, because this one was silent for too long. So every word is a transaction of its own that only counts while
the attempt does, and the work ends as soon as it no longer does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import trace_context
from servicekit.errors import Unavailable
from servicekit.listen import Listener
from servicekit.patience import DATABASE_ERRORS, is_database_gone, patiently

log = structlog.get_logger(__name__)

# Announcements can be lost, so whether the attempt still counts is looked at as well.
_LOOK_S = 5.0
# A word that must come about waits so long for a database that is away.
_DATABASE_PATIENCE_S = 1800.0
_DATABASE = "database"

Words = Callable[[AsyncSession], Awaitable[None]]
"""What is said in one transaction; raises Superseded if the attempt counts no more."""


class Superseded(Exception):
    """The attempt counts no more: what it was about was cancelled or deleted, or another process has it."""


class Ending(StrEnum):
    """What became of an attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CALLED_OFF = "called_off"
    GIVEN_BACK = "given_back"


@dataclass(frozen=True)
class Piece:
    """One attempt at a piece of work.

    Attributes:
        key: what announces that the attempt may no longer count, on the attendant's channel.
        work: does it, its last word included.
        counts: whether the attempt still counts.
        fail: writes down that the work has raised this error.
        give_back: puts the work back into the queue.
    """

    key: str
    work: Callable[[], Coroutine[Any, Any, None]]
    counts: Callable[[AsyncSession], Awaitable[bool]]
    fail: Callable[[AsyncSession, Exception], Awaitable[None]]
    give_back: Words


class Attendant:
    """Sees pieces of work through to an end. `stopping` makes it give back what it has."""

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], listener: Listener, channel: str, stopping: asyncio.Event
    ) -> None:
        self._sessions = sessions
        self._listener = listener
        self._channel = channel
        self._stopping = stopping
        self._concluding: set[asyncio.Task[Any] | None] = set()  # pieces of work that are at their last word

    async def attend(self, piece: Piece) -> Ending:
        """Does a piece of work, to whatever end; raises only if the database stays away."""
        work = asyncio.create_task(piece.work())
        superseded = asyncio.create_task(self._until_superseded(piece))
        stopping = asyncio.create_task(self._stopping.wait())
        tasks = {work, superseded, stopping}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if superseded in done and work in self._concluding:  # its own last word may be why it counts no more
                done, _ = await asyncio.wait({work})
        finally:
            self._concluding.discard(work)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        try:
            if work in done:
                return await self._conclude(work, piece, Ending.SUCCEEDED)
            if superseded in done:
                return await self._conclude(superseded, piece, Ending.CALLED_OFF)
            await self.say(piece.give_back)
        except Superseded:
            return Ending.CALLED_OFF
        return Ending.GIVEN_BACK

    async def say(self, words: Words) -> None:
        """One transaction that must come about, as long as the attempt counts: hours of work may hang on it.

        Raises:
            Superseded: the attempt counts no more.
            Unavailable: the database stays away, for longer than it takes to bring one up again.
        """

        async def speak() -> None:
            try:
                await self._speak(words)
            except DATABASE_ERRORS as error:
                if is_database_gone(error):
                    raise Unavailable(_DATABASE) from error
                raise

        # What isn't for want of a database mostly comes again and again.
        await patiently(lambda: patiently(speak, *DATABASE_ERRORS), Unavailable, for_s=_DATABASE_PATIENCE_S)

    async def conclude(self, words: Words) -> None:
        """The work's last word, which ends the attempt: one transaction that must come about, said by the work itself.

        Raises:
            Superseded: the attempt counts no more.
        """
        self._concluding.add(asyncio.current_task())
        await self.say(words)

    async def mention(self, words: Words) -> None:
        """One transaction that may be missed: while the database is away the work goes on untold.

        Raises:
            Superseded: the attempt counts no more.
        """
        try:
            with trace_context.unrecorded():  # it comes hundreds of times
                await self._speak(words)
        except DATABASE_ERRORS as error:
            log.warning("progress_not_told", error=type(error).__name__)

    async def _speak(self, words: Words) -> None:
        async with self._sessions.begin() as session:
            await words(session)

    async def _conclude(self, task: "asyncio.Task[None]", piece: Piece, ending: Ending) -> Ending:
        """The ending that a task stands for, unless it has raised something: then the piece has failed of that."""
        try:
            await task
        except Superseded:
            raise
        except Exception as error:  # whatever it is, whoever waits for it must not wait for ever
            failure = error  # the name that `except` binds is gone by the time of a second try
            await self.say(lambda session: piece.fail(session, failure))
            return Ending.FAILED
        return ending

    async def _until_superseded(self, piece: Piece) -> None:
        with trace_context.unrecorded():
            await self._look_until_superseded(piece)

    async def _look_until_superseded(self, piece: Piece) -> None:
        async with self._listener.subscribe(self._channel, piece.key) as subscription:
            while True:
                try:
                    async with self._sessions() as session:
                        if not await piece.counts(session):
                            return
                except DATABASE_ERRORS as error:
                    log.warning("attempt_not_looked_for", error=type(error).__name__)
                await subscription.wait(_LOOK_S)
