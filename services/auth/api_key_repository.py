"""Every query about API keys."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import ApiKey, User
from services.auth.repository import live_keys


async def get_key(session: AsyncSession, owner_id: UUID, key_id: UUID) -> ApiKey | None:
    """The owner's key, whatever its state."""
    return await session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == owner_id))


async def lock_key(session: AsyncSession, owner_id: UUID, key_id: UUID) -> ApiKey | None:
    """The owner's key as it is now, kept from changing until the transaction ends."""
    statement = select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == owner_id).with_for_update()
    return await session.scalar(statement)


async def page_of_keys(
    session: AsyncSession, owner_id: UUID, *, before_id: UUID | None, limit: int
) -> Sequence[ApiKey]:
    """The owner's keys that weren't deleted, the newest first (ids are in the order of time)."""
    statement = (
        select(ApiKey)
        .where(ApiKey.user_id == owner_id, ApiKey.deleted_at.is_(None))
        .order_by(ApiKey.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        statement = statement.where(ApiKey.id < before_id)
    return (await session.scalars(statement)).all()


async def count_live_keys(session: AsyncSession, owner_id: UUID, now: datetime) -> int:
    """How many keys the owner can use."""
    statement = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == owner_id, *live_keys(now))
    return await session.scalar(statement) or 0


async def use_key(session: AsyncSession, key_hash: bytes, now: datetime, address: str) -> tuple[ApiKey, User] | None:
    """Notes that a live key is used; returns it with its owner, None if there is no such key."""
    statement = (
        update(ApiKey)
        .where(ApiKey.key_hash == key_hash, *live_keys(now))
        .values(last_used_at=now, last_used_address=address)
        .returning(ApiKey)
    )
    key = await session.scalar(statement)
    if key is None:
        return None
    owner = await session.get_one(User, key.user_id)
    return key, owner


async def forget_keys(session: AsyncSession, owner_id: UUID, before: datetime) -> None:
    """Deletes what is left of the owner's keys that were over before a moment."""
    over = func.least(ApiKey.expires_at, func.coalesce(ApiKey.deleted_at, ApiKey.expires_at))
    await session.execute(delete(ApiKey).where(ApiKey.user_id == owner_id, over < before))
