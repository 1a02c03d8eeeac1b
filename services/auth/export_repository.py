"""Queries about all that is one user's, whether it is over or not."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import ApiKey, Session


async def page_of_sessions(
    session: AsyncSession, user_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[Session]:
    """A user's sessions, those that are over too, the oldest first, from behind the one with the id `after`."""
    query = select(Session).where(Session.user_id == user_id).order_by(Session.id).limit(limit)
    return (await session.scalars(query if after is None else query.where(Session.id > after))).all()


async def page_of_keys(session: AsyncSession, user_id: UUID, *, after: UUID | None, limit: int) -> Sequence[ApiKey]:
    """A user's API keys, deleted ones too, the oldest first, from behind the one with the id `after`."""
    query = select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.id).limit(limit)
    return (await session.scalars(query if after is None else query.where(ApiKey.id > after))).all()
