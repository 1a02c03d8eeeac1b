"""Objects that no row names, or may never come to: marked in the database, removed when they are due.

A mark is written before an upload (due when the upload must have ended) and when the row that named the object goes,
and withdrawn in the transaction that names the object. So nothing that fails in between leaves an object behind.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Mapped, mapped_column

from servicekit.object_store import ObjectStore
from servicekit.timestamps import utc_now

_OBJECTS_A_BATCH = 100


class LooseObjectColumns:
    """The columns of the table of marks; a service's model derives from this and its own base."""

    __tablename__ = "loose_objects"

    key: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(index=True)


MarkT = TypeVar("MarkT", bound=LooseObjectColumns)


class LooseObjects(Generic[MarkT]):
    """A service's marks, in the table of its model."""

    def __init__(self, model: type[MarkT]) -> None:
        self._model = model

    async def loosen(self, session: AsyncSession, keys: Sequence[str], due_at: datetime) -> None:
        """Marks objects for removal at a time; a later mark replaces an earlier one."""
        if not keys:
            return
        statement = insert(self._model).values([{"key": key, "due_at": due_at} for key in keys])
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[self._model.key], set_={"due_at": statement.excluded.due_at}
            )
        )

    async def hasten(self, session: AsyncSession, key: str) -> bool:
        """Makes a marked object due now; False if it isn't marked."""
        statement = update(self._model).where(self._model.key == key).values(due_at=utc_now())
        return await session.scalar(statement.returning(self._model.key)) is not None

    async def remove_if_loose(self, sessions: async_sessionmaker[AsyncSession], store: ObjectStore, key: str) -> None:
        """Removes an object that was stored for nothing: one that is still marked."""
        async with sessions.begin() as session:
            is_loose = await self.hasten(session, key)
        if is_loose:
            await self.remove_due(sessions, store)

    async def fasten(self, session: AsyncSession, keys: Sequence[str]) -> None:
        """Takes the mark off objects: a row names them, or they are gone."""
        await session.execute(delete(self._model).where(self._model.key.in_(keys)))

    async def hasten_all(self, session: AsyncSession, prefix: str) -> int:
        """Makes every marked object whose key begins so due now; returns how many there are."""
        mine = self._model.key.startswith(prefix, autoescape=True)
        statement = update(self._model).where(mine).values(due_at=utc_now()).returning(self._model.key)
        return len((await session.scalars(statement.execution_options(synchronize_session=False))).all())

    async def among(self, session: AsyncSession, keys: Sequence[str]) -> set[str]:
        """Those of some keys that are marked."""
        return set((await session.scalars(select(self._model.key).where(self._model.key.in_(keys)))).all())

    async def remove_due(self, sessions: async_sessionmaker[AsyncSession], store: ObjectStore) -> None:
        """Removes objects that are due; what can't be removed now is due the next time."""
        while True:
            async with sessions.begin() as session:
                query = (
                    select(self._model.key)
                    .where(self._model.due_at <= utc_now())
                    .order_by(self._model.due_at)
                    .limit(_OBJECTS_A_BATCH)
                )
                keys = (await session.scalars(query)).all()
            if not keys:
                return
            await store.remove(keys)
            async with sessions.begin() as session:
                await self.fasten(session, keys)
