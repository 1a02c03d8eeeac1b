"""One read for everybody who asks for the same at the same moment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

EventT = TypeVar("EventT")


class SharedReads(Generic[EventT]):
    """Reads of events, shared: an announcement wakes all subscribers of an object, and they all want the same rows.

    Who asks joins a read only as long as it hasn't begun, so that it finds all that was committed before it was asked
    for.
    """

    def __init__(self, read: Callable[[UUID, int], Awaitable[Sequence[EventT]]]) -> None:
        """`read` gets the events of an object behind a sequence number, in order."""
        self._read = read
        self._waiting: dict[tuple[UUID, int], asyncio.Task[Sequence[EventT]]] = {}

    async def after(self, object_id: UUID, seq: int) -> Sequence[EventT]:
        """The events of an object behind a sequence number, in order; raises what reading them raises."""
        key = (object_id, seq)
        if key not in self._waiting:
            self._waiting[key] = asyncio.create_task(self._begin(key))
        # Shielded: one who stops waiting must not take the answer from the others.
        return await asyncio.shield(self._waiting[key])

    async def _begin(self, key: tuple[UUID, int]) -> Sequence[EventT]:
        del self._waiting[key]
        return await self._read(*key)
