"""Objects that no row names and rows whose object is gone: found by comparing a bucket with the rows, and reported.

In ordinary running there are none: an object is marked before it is stored (servicekit.loose_objects). They come of
what is outside of a service's hands: a database restored from yesterday, a bucket emptied by hand.
"""

import asyncio
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import InstrumentedAttribute

from servicekit.loose_objects import LooseObjects, MarkT
from servicekit.object_store import ObjectMissing, ObjectStore
from servicekit.timestamps import utc_now

log = structlog.get_logger(__name__)

# An orphan is left alone for a day: a database that was restored may still be given its latest changes.
GRACE = timedelta(days=1)
_KEYS_A_BATCH = 1000
_FIRST_S = 120.0
_NAMED_IN_LOG = 20


class Named:
    """How a service's rows name objects: by these columns of its models."""

    def __init__(self, *columns: InstrumentedAttribute[str] | InstrumentedAttribute[str | None]) -> None:
        self._columns = columns

    async def among(self, session: AsyncSession, keys: Sequence[str]) -> set[str]:
        """Those of some keys that a row names."""
        query = union_all(*(select(column).where(column.in_(keys)) for column in self._columns))
        return {str(key) for (key,) in await session.execute(query)}

    async def after(self, session: AsyncSession, last: str, limit: int) -> Sequence[str]:
        """The next keys that rows name behind one, in the database's order; at most so many."""
        pages = (
            select(column.label("key")).where(column > last).order_by(column).limit(limit) for column in self._columns
        )
        found = union_all(*(page.subquery().select() for page in pages)).subquery()
        return (await session.scalars(select(found.c.key).distinct().order_by(found.c.key).limit(limit))).all()


@dataclass(frozen=True)
class Sweep:
    """What a sweep found."""

    objects: int  # in the bucket
    orphans: int  # of those, the ones that no row names; removed
    orphaned_bytes: int
    missing: tuple[str, ...]  # keys that rows name and the bucket doesn't have; left as they are


class Sweeper:
    """Compares a service's bucket with its rows."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        store: ObjectStore,
        loose: LooseObjects[MarkT],
        named: Named,
        grace: timedelta = GRACE,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._loose = loose
        self._named = named
        self._grace = grace

    async def sweep(self, *, remove: bool = True) -> Sweep | None:
        """Looks at every object and every row; removes orphans that are old enough, unless `remove` is off.

        Returns None where another copy of the service is at it.

        Raises:
            Unavailable: the object store can't be reached.
        """
        async with self._sessions() as session:
            # The lock is the connection's, which is kept for as long as the sweep takes, without a transaction.
            connection = await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            key = func.hashtextextended(f"sweep:{self._store.bucket}", 0)
            if not await connection.scalar(select(func.pg_try_advisory_lock(key))):
                return None
            try:
                found = await self._compare(remove=remove)
            finally:
                await connection.execute(select(func.pg_advisory_unlock(key)))
        return found

    async def _compare(self, *, remove: bool) -> Sweep:
        seen: set[int] = set()  # hashes: a million keys are some 60 MB so
        orphans = orphaned_bytes = 0
        async for page in self._store.pages(_KEYS_A_BATCH):
            seen.update(hash(item.key) for item in page)
            old = [item for item in page if item.modified_at < utc_now() - self._grace]
            async with self._sessions.begin() as session:
                keys = [item.key for item in old]
                known = await self._named.among(session, keys) | await self._loose.among(session, keys)
                doomed = [item for item in old if item.key not in known]
                if remove:
                    await self._loose.loosen(session, [item.key for item in doomed], utc_now())
            orphans += len(doomed)
            orphaned_bytes += sum(item.size for item in doomed)
        if remove:
            await self._loose.remove_due(self._sessions, self._store)
        return Sweep(len(seen), orphans, orphaned_bytes, tuple(await self._missing(seen)))

    async def _missing(self, seen: Set[int]) -> list[str]:
        missing: list[str] = []
        last = ""
        while True:
            async with self._sessions() as session:
                keys = await self._named.after(session, last, _KEYS_A_BATCH)
            if not keys:
                return missing
            last = keys[-1]
            unseen = [key for key in keys if hash(key) not in seen]
            missing += [key for key in unseen if not await self._is_there_or_unnamed(key)]

    async def _is_there_or_unnamed(self, key: str) -> bool:
        """Whether the object was stored, or its row went, since the bucket was listed."""
        try:
            await self._store.size(key)
        except ObjectMissing:
            async with self._sessions() as session:
                return not await self._named.among(session, [key])
        return True


async def keep_sweeping(sweeper: Sweeper, every_s: float) -> None:
    """Sweeps again and again, a first time soon, until it is cancelled."""
    await asyncio.sleep(min(_FIRST_S, every_s))
    while True:
        try:
            found = await sweeper.sweep()
            if found is not None:
                _report(found)
        except Exception:  # the next time may go better; nobody's request hangs on it
            log.exception("sweep_failed")
        await asyncio.sleep(every_s)


def _report(found: Sweep) -> None:
    log.info(
        "swept",
        objects=found.objects,
        orphans=found.orphans,
        orphaned_bytes=found.orphaned_bytes,
        missing=len(found.missing),
    )
    if found.missing:
        log.error("objects_missing", count=len(found.missing), keys=found.missing[:_NAMED_IN_LOG])
