"""Every query of the auth service.

Locks are taken in one order, accounts before their sessions, so that two changes never wait for each other.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.access import Role
from servicekit.timestamps import utc_now
from services.auth.inputs import ACTIVE, UserFilter
from services.auth.models import ApiKey, Profile, RefreshToken, Revocation, RevocationKind, Session, Throttle, User


class SessionKey(NamedTuple):
    """Where a session stands in its owner's list."""

    last_used_at: datetime
    session_id: UUID


class EndedSession(NamedTuple):
    """A session that is over, and when it began."""

    session_id: UUID
    created_at: datetime


# Accounts


async def user_by_email(session: AsyncSession, email_key: str) -> User | None:
    """The account with this address, whatever its case."""
    return await session.scalar(select(User).where(User.email_key == email_key))


async def get_user(session: AsyncSession, user_id: UUID) -> User | None:
    """The account."""
    return await session.get(User, user_id)


async def lock_user(session: AsyncSession, user_id: UUID) -> User | None:
    """The account as it is now, kept from changing until the transaction ends."""
    statement = select(User).where(User.id == user_id).with_for_update().execution_options(populate_existing=True)
    return await session.scalar(statement)


async def add_user(session: AsyncSession, values: dict[str, Any]) -> User | None:
    """Adds an account; None if another has its address."""
    statement = insert(User).values(values).on_conflict_do_nothing(index_elements=[User.email_key]).returning(User)
    return await session.scalar(statement)


async def delete_user(session: AsyncSession, user: User) -> None:
    """Deletes an account with all that hangs on it."""
    await session.delete(user)


async def get_profile(session: AsyncSession, owner_id: UUID) -> Profile | None:
    """The owner's profile; None before its first change."""
    return await session.get(Profile, owner_id)


# Administration


async def page_of_users(
    session: AsyncSession, wanted: UserFilter, *, before_id: UUID | None, limit: int
) -> Sequence[User]:
    """Accounts, the newest first (ids are in the order of time); those older than `before_id`."""
    statement = select(User).order_by(User.id.desc()).limit(limit)
    if wanted.role is not None:
        statement = statement.where(User.role == wanted.role)
    if wanted.state is not None:
        statement = statement.where(User.active == (wanted.state == ACTIVE))
    if wanted.text:
        found = (column.icontains(wanted.text, autoescape=True) for column in (User.email, User.display_name))
        statement = statement.where(or_(*found))
    if before_id is not None:
        statement = statement.where(User.id < before_id)
    return (await session.scalars(statement)).all()


async def count_accounts(session: AsyncSession) -> dict[tuple[Role, bool], int]:
    """How many accounts there are, by role and by whether they are active."""
    keys = (User.role, User.active)
    rows = await session.execute(select(*keys, func.count()).group_by(*keys))
    return {(role, active): count for role, active, count in rows}


async def lock_active_administrators(session: AsyncSession) -> None:
    """Makes changes that could take away the last administrator wait for each other."""
    await session.execute(select(User.id).where(_active_administrator()).order_by(User.id).with_for_update())


async def has_other_active_administrator(session: AsyncSession, user_id: UUID) -> bool:
    """Whether anybody but this user is an active administrator."""
    found = await session.scalar(select(exists().where(_active_administrator(), User.id != user_id)))
    return bool(found)


def _active_administrator() -> ColumnElement[bool]:
    return and_(User.role == Role.ADMINISTRATOR, User.active)


# Sessions


async def live_role(session: AsyncSession, owner_id: UUID, session_id: UUID, now: datetime) -> Role | None:
    """The owner's role as it is now, if the session, or the API key with this id, is live and the account active."""
    live_session = exists().where(Session.id == session_id, Session.user_id == owner_id, *_live(now))
    live_key = exists().where(ApiKey.id == session_id, ApiKey.user_id == owner_id, *live_keys(now))
    statement = select(User.role).where(User.id == owner_id, User.active, or_(live_session, live_key))
    return await session.scalar(statement)


async def page_of_sessions(
    session: AsyncSession, owner_id: UUID, now: datetime, *, before: SessionKey | None, limit: int
) -> Sequence[Session]:
    """The owner's live sessions, the latest used first; those that come after the key `before`."""
    statement = (
        select(Session)
        .where(Session.user_id == owner_id, *_live(now))
        .order_by(Session.last_used_at.desc(), Session.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(tuple_(Session.last_used_at, Session.id) < tuple_(*before))
    return (await session.scalars(statement)).all()


async def lock_session(session: AsyncSession, owner_id: UUID, session_id: UUID) -> Session | None:
    """The owner's session as it is now, kept from changing until the transaction ends."""
    statement = select(Session).where(Session.id == session_id, Session.user_id == owner_id).with_for_update()
    return await session.scalar(statement)


async def end_sessions(
    session: AsyncSession, owner_id: UUID, now: datetime, cause: str, *, keep: UUID | None = None
) -> Sequence[EndedSession]:
    """Ends the owner's live sessions, all but `keep`; returns which, so that their tokens can be revoked."""
    statement = update(Session).where(Session.user_id == owner_id, *_live(now)).values(ended_at=now, end_cause=cause)
    if keep is not None:
        statement = statement.where(Session.id != keep)
    statement = statement.execution_options(synchronize_session=False)
    found = await session.execute(statement.returning(Session.id, Session.created_at))
    return [EndedSession(*row) for row in found]


async def has_session_of_device(session: AsyncSession, owner_id: UUID, user_agent: str) -> bool:
    """Whether the owner has, or had lately, a session on a device of this name."""
    known = exists().where(Session.user_id == owner_id, Session.user_agent == user_agent)
    return bool(await session.scalar(select(known)))


async def expired_sessions(session: AsyncSession, now: datetime, limit: int) -> Sequence[Session]:
    """Some sessions that nobody has ended and that are too old, kept from changing; those of other processes aside."""
    statement = (
        select(Session)
        .where(Session.ended_at.is_(None), Session.expires_at <= now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.scalars(statement)).all()


async def forget_sessions(session: AsyncSession, owner_id: UUID, before: datetime) -> None:
    """Deletes what is left of the owner's sessions that were over before a moment."""
    over = func.least(Session.expires_at, func.coalesce(Session.ended_at, Session.expires_at))
    await session.execute(delete(Session).where(Session.user_id == owner_id, over < before))


def live_keys(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What holds of API keys that can be used."""
    return (ApiKey.deleted_at.is_(None), ApiKey.expires_at > now)


def _live(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Session.ended_at.is_(None), Session.expires_at > now)


# Refresh tokens


async def lock_session_of_token(session: AsyncSession, token_hash: bytes) -> tuple[Session, RefreshToken, User] | None:
    """A refresh token with its session and its account, as they are now; the session is kept from changing.

    The session is locked before the token is read: of two uses at once the second then sees the first.
    """
    of_token = select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash).scalar_subquery()
    family = await session.scalar(select(Session).where(Session.id == of_token).with_for_update())
    if family is None:
        return None
    statement = (
        select(RefreshToken, User)
        .join(Session, Session.id == RefreshToken.session_id)
        .join(User, User.id == Session.user_id)
        .where(RefreshToken.token_hash == token_hash)
    )
    found = (await session.execute(statement)).one_or_none()
    return (family, found[0], found[1]) if found else None


async def forget_expired_tokens(session: AsyncSession, session_id: UUID, now: datetime) -> None:
    """Deletes a session's refresh tokens that are too old to be used even for the first time."""
    await session.execute(
        delete(RefreshToken).where(RefreshToken.session_id == session_id, RefreshToken.expires_at <= now)
    )


# Revocations

# Any number, as long as nothing else in this schema locks it.
_REVOCATIONS_LOCK = 7_013_411
REVOCATIONS_CHANNEL = "auth_revocations"


async def add_revocations(
    session: AsyncSession,
    kind: RevocationKind,
    subject_ids: Sequence[UUID],
    *,
    issued_until: datetime,
    cause: str,
    expires_at: datetime,
) -> None:
    """Adds revocations, and announces them when the transaction commits.

    Whoever adds some holds a lock until then, so numbers are in the order of commits. It comes after every other lock.
    """
    if not subject_ids:
        return
    await session.flush()  # what is to be locked for other changes is locked before
    await session.execute(select(func.pg_advisory_xact_lock(_REVOCATIONS_LOCK)))
    rows = [
        {
            "kind": kind,
            "subject_id": subject_id,
            "issued_until": issued_until,
            "cause": cause,
            "created_at": utc_now(),
            "expires_at": expires_at,
        }
        for subject_id in subject_ids
    ]
    await session.execute(insert(Revocation), rows)
    await session.execute(select(func.pg_notify(REVOCATIONS_CHANNEL, "")))


async def revocations_after(session: AsyncSession, seq: int, now: datetime, limit: int) -> Sequence[Revocation]:
    """The revocations behind a number that still matter, in order."""
    statement = (
        select(Revocation)
        .where(Revocation.seq > seq, Revocation.expires_at > now)
        .order_by(Revocation.seq)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def last_revocation(session: AsyncSession) -> int:
    """The number of the last revocation that is kept; 0 if none is."""
    return await session.scalar(select(func.max(Revocation.seq))) or 0


async def forget_revocations(session: AsyncSession, now: datetime) -> None:
    """Deletes the revocations of tokens that have expired; the last one stays, to number the next from."""
    last = select(func.max(Revocation.seq)).scalar_subquery()
    await session.execute(delete(Revocation).where(Revocation.expires_at <= now, Revocation.seq < last))


# Throttles


async def count_attempt(
    session: AsyncSession, key_hash: bytes, interval: timedelta, tolerance: timedelta
) -> timedelta | None:
    """Counts an attempt in a bucket, by the database's clock; returns how long to wait if there is no room."""
    now = func.clock_timestamp()
    statement = (
        insert(Throttle)
        .values(key_hash=key_hash, clear_at=now + interval)
        .on_conflict_do_update(
            index_elements=[Throttle.key_hash],
            set_={"clear_at": func.greatest(Throttle.clear_at, now) + interval},
            where=Throttle.clear_at <= now + tolerance,
        )
        .returning(Throttle.clear_at)
    )
    if await session.scalar(statement) is not None:
        return None
    ahead = select(func.extract("epoch", Throttle.clear_at - now)).where(Throttle.key_hash == key_hash)
    return max(timedelta(seconds=float(await session.scalar(ahead) or 0)) - tolerance, timedelta(0))


async def give_attempt_back(session: AsyncSession, key_hash: bytes, interval: timedelta) -> None:
    """Takes one attempt out of a bucket."""
    await session.execute(
        update(Throttle)
        .where(Throttle.key_hash == key_hash)
        .values(clear_at=Throttle.clear_at - interval)
        .execution_options(synchronize_session=False)
    )


async def forget_attempts(session: AsyncSession) -> None:
    """Deletes the buckets in which nothing counts any more."""
    await session.execute(delete(Throttle).where(Throttle.clear_at < func.clock_timestamp()))
