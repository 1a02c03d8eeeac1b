"""Access tokens that are refused before they expire: told to every service, as it happens."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.database import Database
from servicekit.listen import Listener
from servicekit.patience import DATABASE_ERRORS
from servicekit.timestamps import utc_now
from services.auth import deletion_repository, events, repository
from services.auth.models import Revocation, RevocationKind
from services.auth.repository import EndedSession
from services.auth.settings import LONGEST_TOKEN_MINUTES

log = structlog.get_logger(__name__)

# Whatever the settings are now, a token that was signed by others ones has expired by then.
_LONGEST_TOKEN = timedelta(minutes=LONGEST_TOKEN_MINUTES + 1)
_BATCH = 1000
# For how long it is told that an account has ended.
_ENDS_KEPT = timedelta(days=30)


class Batch(NamedTuple):
    """Some revocations in their order."""

    revocations: Sequence[Revocation]
    seq: int  # resumes behind this number
    restart: bool  # everything told before is void
    complete: bool  # nothing more for now


async def revoke_sessions(session: AsyncSession, session_ids: Sequence[UUID], cause: str) -> None:
    """Revokes every token of these sessions or API keys, for good. The last thing to do in a transaction."""
    expires_at = utc_now() + _LONGEST_TOKEN
    await repository.add_revocations(
        session, RevocationKind.SESSION, session_ids, issued_until=expires_at, cause=cause, expires_at=expires_at
    )


async def revoke_user(session: AsyncSession, user_id: UUID, cause: str) -> None:
    """Revokes every token of an account that was issued until now. The last thing to do in a transaction.

    Now is when every lock is held: whoever signed a token meanwhile, going by what is changed here, has committed.
    """
    await session.flush()
    now = utc_now()
    expires_at = now + _LONGEST_TOKEN
    await repository.add_revocations(
        session,
        RevocationKind.USER,
        [user_id],
        issued_until=now,
        cause=cause,
        expires_at=expires_at,
    )


async def end_sessions_of(session: AsyncSession, owner_id: UUID, now: datetime, cause: str) -> Sequence[EndedSession]:
    """Ends all of the owner's live sessions, whose tokens are for the caller to revoke."""
    ended = await repository.end_sessions(session, owner_id, now, cause)
    await events.sessions_ended(session, owner_id, ended, now, cause)
    return ended


async def end_sessions(
    session: AsyncSession, owner_id: UUID, now: datetime, cause: str, *, keep: UUID | None = None
) -> int:
    """Ends the owner's live sessions, all but `keep`, with their tokens; returns how many."""
    ended = await repository.end_sessions(session, owner_id, now, cause, keep=keep)
    await events.sessions_ended(session, owner_id, ended, now, cause)
    await revoke_sessions(session, [each.session_id for each in ended], cause)
    return len(ended)


async def follow(
    database: Database, listener: Listener, after: int, *, heartbeat_s: float
) -> AsyncGenerator[Batch, None]:
    """Revocations behind a number, as they come; a batch without any is a sign of life.

    Looks by itself at every heartbeat, so that an announcement that got lost makes nothing late by more than that.
    Ends when the process stops.
    """
    async with listener.subscribe(repository.REVOCATIONS_CHANNEL, "") as subscription:
        async with database.sessions() as session:
            known = 0 < after <= await repository.last_revocation(session)
        seq, restart = (after, False) if known else (0, True)
        while True:
            async with database.sessions() as session:
                found = await repository.revocations_after(session, seq, utc_now(), _BATCH)
            seq = found[-1].seq if found else seq
            complete = len(found) < _BATCH
            yield Batch(found, seq, restart, complete)
            restart = False
            if listener.winding_down:
                return
            if complete:
                await subscription.wait(heartbeat_s)


async def _end_expired(session: AsyncSession, now: datetime) -> None:
    """Tells of sessions that were never signed out of: they lasted for as long as they were used."""
    for family in await repository.expired_sessions(session, now, _BATCH):
        family.ended_at = family.expires_at
        family.end_cause = "expired"
        ended = [EndedSession(family.id, family.created_at)]
        await events.sessions_ended(session, family.user_id, ended, family.last_used_at, "expired")


async def keep_tidy(database: Database, *, every_s: float = 60.0) -> None:
    """Forgets, again and again, what has no effect any more; ends by being cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            async with database.sessions.begin() as session:
                await repository.forget_revocations(session, utc_now())
                await _end_expired(session, utc_now())
                await repository.forget_attempts(session)
                await deletion_repository.forget(session, utc_now() - _ENDS_KEPT)
        except DATABASE_ERRORS as error:  # next time, then
            log.warning("not_tidied", error=type(error).__name__)
