"""A piece of work in a process's hands, by the real database: every way it can end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from servicekit import attending
from servicekit.attending import Attendant, Ending, Piece, Superseded
from servicekit.database import asyncpg_dsn
from servicekit.errors import Unavailable
from servicekit.listen import Listener
from tests.support.postgres import PostgresForTests

CHANNEL = "attending_tests"
Counts = Callable[[AsyncSession], Awaitable[bool]]


@dataclass
class Desk:
    """An attendant, and what became of the pieces that it was given."""

    attendant: Attendant
    stopping: asyncio.Event
    failures: list[Exception] = field(default_factory=list)
    given_back: int = 0
    cancelled: int = 0

    async def attend(self, work: Callable[[], Coroutine[Any, Any, None]], counts: Counts) -> Ending:
        """What becomes of such a piece."""

        async def fail(session: AsyncSession, error: Exception) -> None:
            await session.execute(text("SELECT 1"))
            self.failures.append(error)

        async def give_back(session: AsyncSession) -> None:
            await session.execute(text("SELECT 1"))
            self.given_back += 1

        async with asyncio.timeout(30):
            return await self.attendant.attend(Piece("piece", work, counts, fail, give_back))

    async def endless(self) -> None:
        """Work that ends only when it is told to."""
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1


@pytest.fixture
async def desk(postgres: PostgresForTests) -> AsyncIterator[Desk]:
    """Somebody who attends to work."""
    url = postgres.database_url("generation")
    engine = create_async_engine(url)
    stopping = asyncio.Event()
    async with Listener(asyncpg_dsn(url), CHANNEL) as listener:
        yield Desk(Attendant(async_sessionmaker(engine), listener, CHANNEL, stopping), stopping)
    await engine.dispose()


async def counts(_session: AsyncSession) -> bool:
    """It does."""
    return True


async def nothing() -> None:
    """Is done at once."""


async def test_work_that_ends_by_itself(desk: Desk) -> None:
    """Work that ends has succeeded, or failed of what it raised, or is called off if that is what it learnt."""
    error = ValueError("a fault in the work")

    async def raises() -> None:
        raise error

    async def learns() -> None:
        raise Superseded

    assert await desk.attend(nothing, counts) is Ending.SUCCEEDED
    assert await desk.attend(raises, counts) is Ending.FAILED
    assert await desk.attend(learns, counts) is Ending.CALLED_OFF
    assert (desk.failures, desk.given_back) == ([error], 0)


async def test_work_that_is_ended(desk: Desk) -> None:
    """Work whose attempt counts no more is called off and told to nobody; a process that stops gives it back."""

    async def counts_no_more(_session: AsyncSession) -> bool:
        return False

    async def stops(_session: AsyncSession) -> bool:
        desk.stopping.set()
        return True

    assert await desk.attend(desk.endless, counts_no_more) is Ending.CALLED_OFF
    assert desk.given_back == 0
    assert await desk.attend(desk.endless, stops) is Ending.GIVEN_BACK
    assert (desk.failures, desk.given_back, desk.cancelled) == ([], 1, 2)


async def test_a_word_waits_for_the_database(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away a word waits for longer than for what isn't for want of one; at last it says so."""
    monkeypatch.setattr(attending, "_DATABASE_PATIENCE_S", 1.0)
    tried = 0

    async def comes_back(_session: AsyncSession) -> None:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise ConnectionRefusedError

    await desk.attendant.say(comes_back)
    assert tried == 3

    async def stays_away(_session: AsyncSession) -> None:
        raise ConnectionRefusedError

    with pytest.raises(Unavailable, match="database"):
        await desk.attendant.say(stays_away)


async def test_an_error_while_looking_whether_it_counts(desk: Desk) -> None:
    """What nobody expected there isn't taken for being called off: the work ends, and has failed of that very error."""
    error = KeyError("a fault in the looking")

    async def breaks(_session: AsyncSession) -> bool:
        raise error

    assert await desk.attend(desk.endless, breaks) is Ending.FAILED
    assert (desk.failures, desk.given_back, desk.cancelled) == ([error], 0, 1)


async def test_a_last_word_that_ends_the_attempt(desk: Desk) -> None:
    """Work that is done counts no more before it has tidied up: it has succeeded all the same, and isn't cut short."""
    done, tidied = asyncio.Event(), asyncio.Event()
    looking: asyncio.Future[asyncio.Task[Any] | None] = asyncio.get_running_loop().create_future()

    async def counts_until_done(_session: AsyncSession) -> bool:
        looking.set_result(asyncio.current_task())
        await done.wait()
        return False

    async def succeed(_session: AsyncSession) -> None:
        done.set()

    async def work() -> None:
        looker = await looking
        assert looker
        await desk.attendant.conclude(succeed)
        await asyncio.wait({looker})
        await asyncio.sleep(0)  # by now it has been heard that the attempt counts no more
        tidied.set()

    assert await desk.attend(work, counts_until_done) is Ending.SUCCEEDED
    assert tidied.is_set()


async def test_a_last_word_that_comes_too_late(desk: Desk) -> None:
    """Work that was superseded while it said its last word is called off."""
    said = asyncio.Event()

    async def counts_until_said(_session: AsyncSession) -> bool:
        await said.wait()
        return False

    async def too_late(_session: AsyncSession) -> None:
        said.set()
        raise Superseded

    assert await desk.attend(lambda: desk.attendant.conclude(too_late), counts_until_said) is Ending.CALLED_OFF
