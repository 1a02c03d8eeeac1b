"""Users whose accounts are gone: nothing is written for them any more, whatever was on its way when they went.

A transaction that writes something new for a user asks first; the one that deletes all that is a user's says so first.
They take turns, so what is written before is deleted, and what would be written after is refused. It is kept for longer
than any request or upload can take, and doesn't name the user: only who knows the id can tell that it is meant.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from grpc import StatusCode
from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from servicekit.errors import ServiceError
from servicekit.timestamps import utc_now

KEPT = timedelta(days=7)
"""How long it is remembered; every token and every upload has ended by then."""


class AccountDeleted(ServiceError):
    """The account for which something was to be made is gone."""

    code, reason = StatusCode.FAILED_PRECONDITION, "ACCOUNT_DELETED"

    def __init__(self) -> None:
        super().__init__("The account was deleted; nothing can be made for it any more.")


class DepartureColumns:
    """The columns of the table of departures; a service's model derives from this and its own base."""

    __tablename__ = "departures"

    user_hash: Mapped[bytes] = mapped_column(primary_key=True)  # SHA-256 of the user's id
    departed_at: Mapped[datetime] = mapped_column(index=True)


DepartureT = TypeVar("DepartureT", bound=DepartureColumns)


class Departures(Generic[DepartureT]):
    """A service's departures, in the table of its model."""

    def __init__(self, model: type[DepartureT], service: str) -> None:
        """Takes the service's name, since locks are shared by a whole database."""
        self._model = model
        self._service = service

    async def admit(self, session: AsyncSession, user_id: UUID) -> None:
        """Lets a transaction write something new for a user; the first thing that it does.

        Raises:
            AccountDeleted: the user's account is gone.
        """
        await session.execute(select(func.pg_advisory_xact_lock_shared(self._key(user_id))))
        if await session.scalar(select(exists().where(self._model.user_hash == _hash(user_id)))):
            raise AccountDeleted

    async def depart(self, session: AsyncSession, user_id: UUID) -> None:
        """Has nothing more written for a user from this transaction's end on; the first thing that it does."""
        await session.execute(select(func.pg_advisory_xact_lock(self._key(user_id))))
        row = {"user_hash": _hash(user_id), "departed_at": utc_now()}
        await session.execute(insert(self._model).values(row).on_conflict_do_nothing())

    async def forget(self, session: AsyncSession) -> None:
        """Forgets those of long ago."""
        await session.execute(delete(self._model).where(self._model.departed_at < utc_now() - KEPT))

    def _key(self, user_id: UUID) -> ColumnElement[int]:
        return func.hashtextextended(f"{self._service}.departures:{user_id}", 0)


def _hash(user_id: UUID) -> bytes:
    return hashlib.sha256(b"departure:" + user_id.bytes).digest()
