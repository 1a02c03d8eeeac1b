"""One read for all who ask for the same at the same moment."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from servicekit.shared_reads import SharedReads


class Rows:
    """Rows that can be added to, and how often they were read."""

    def __init__(self) -> None:
        self.rows = [1, 2, 3]
        self.reads = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def after(self, _object_id: UUID, seq: int) -> Sequence[int]:
        """The rows behind a number, as they are when the read begins."""
        self.reads += 1
        self.begun.set()
        found = [row for row in self.rows if row > seq]
        await self.go_on.wait()
        return found


async def test_one_read_for_all() -> None:
    """A hundred who ask at once are answered by one read; another place or object has a read of its own."""
    rows, one, other = Rows(), uuid4(), uuid4()
    shared = SharedReads(rows.after)
    answers = await asyncio.gather(*(shared.after(one, 1) for _ in range(100)))
    assert (answers, rows.reads) == ([[2, 3]] * 100, 1)
    both = await asyncio.gather(shared.after(one, 2), shared.after(other, 1))
    assert list(both) == [[3], [2, 3]]
    assert rows.reads == 3


async def test_nothing_is_missed() -> None:
    """Who asks while a read is under way has one of their own, which finds what was added since the other began."""
    rows, one = Rows(), uuid4()
    shared = SharedReads(rows.after)
    rows.go_on.clear()
    early = asyncio.create_task(shared.after(one, 0))
    await rows.begun.wait()
    rows.rows.append(4)
    late = asyncio.create_task(shared.after(one, 0))
    rows.go_on.set()
    assert (await early, await late) == ([1, 2, 3], [1, 2, 3, 4])


async def test_one_who_leaves_and_a_read_that_fails() -> None:
    """Who stops waiting takes nothing from the others; where reading fails, all who waited are told."""
    rows, one = Rows(), uuid4()
    shared = SharedReads(rows.after)
    rows.go_on.clear()
    leaving, staying = (asyncio.create_task(shared.after(one, 0)) for _ in range(2))
    await rows.begun.wait()
    leaving.cancel()
    rows.go_on.set()
    assert await staying == [1, 2, 3]

    async def broken(_object_id: UUID, _seq: int) -> Sequence[int]:
        raise ConnectionError

    failing = SharedReads(broken)
    outcomes = await asyncio.gather(*(failing.after(one, 0) for _ in range(2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 2
    with pytest.raises(ConnectionError):
        await failing.after(one, 0)
