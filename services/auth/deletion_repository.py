"""Every query about ends of accounts. Times are the database's own."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Update, and_, case, delete, exists, func, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, selectinload

from servicekit.ids import new_id
from services.auth.models import (
    AccountDeletion,
    ApiKey,
    DeletionState,
    DeletionStep,
    Requester,
    Revocation,
    RevocationKind,
    Session,
)

_DONE = DeletionState.DONE


class Step(NamedTuple):
    """A step that was claimed."""

    deletion_id: UUID
    service: str
    user_id: UUID
    failures: int  # before this attempt, since the last answer


async def add(
    session: AsyncSession, user_id: UUID, requested_by: Requester, services: Sequence[str], now: datetime
) -> UUID:
    """Adds the end of an account, with a step for each service."""
    deletion = AccountDeletion(id=new_id(), user_id=user_id, requested_by=requested_by, created_at=now)
    session.add(deletion)
    await session.flush()
    for service in services:
        session.add(
            DeletionStep(
                deletion_id=deletion.id,
                service=service,
                state=DeletionState.WAITING,
                attempts=0,
                failures=0,
                found=0,
                error="",
                next_try_at=now,
                updated_at=now,
            )
        )
    await session.flush()
    return deletion.id


async def issuer_ids(session: AsyncSession, user_id: UUID) -> Sequence[UUID]:
    """Ids of all sessions and API keys by which a user may have tokens that are still good, those that are over too."""
    sessions = select(Session.id).where(Session.user_id == user_id)
    keys = select(ApiKey.id).where(ApiKey.user_id == user_id)
    return (await session.scalars(sessions.union_all(keys))).all()


async def forget_revocations_of(session: AsyncSession, user_id: UUID) -> None:
    """Deletes revocations that name a user, all of whose sessions are revoked one by one."""
    mine = (Revocation.kind == RevocationKind.USER) & (Revocation.subject_id == user_id)
    await session.execute(delete(Revocation).where(mine))


async def page(
    session: AsyncSession, *, unfinished: bool, before: UUID | None, limit: int
) -> Sequence[AccountDeletion]:
    """Ends of accounts with their steps, the latest first, from behind the one with the id `before`."""
    query = select(AccountDeletion).options(selectinload(AccountDeletion.steps))
    query = query.order_by(AccountDeletion.id.desc()).limit(limit)
    if unfinished:
        query = query.where(AccountDeletion.ended_at.is_(None))
    if before is not None:
        query = query.where(AccountDeletion.id < before)
    return (await session.scalars(query)).all()


async def claim(session: AsyncSession, last: Sequence[str], lease: timedelta, limit: int) -> Sequence[Step]:
    """Takes steps that are due; nobody else does until the lease is over.

    Those of the services `last` are due when all others of the same end are done.
    """
    now = func.clock_timestamp()
    other = aliased(DeletionStep)
    others = exists().where(
        other.deletion_id == DeletionStep.deletion_id, other.state != _DONE, other.service.not_in(last)
    )
    due = (
        select(DeletionStep.deletion_id, DeletionStep.service)
        .where(
            DeletionStep.state != _DONE,
            DeletionStep.next_try_at <= now,
            or_(DeletionStep.service.not_in(last), ~others),
        )
        .order_by(DeletionStep.next_try_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(DeletionStep)
        .where(tuple_(DeletionStep.deletion_id, DeletionStep.service).in_(due))
        .values(next_try_at=now + lease, attempts=DeletionStep.attempts + 1)
        .returning(DeletionStep.deletion_id, DeletionStep.service, DeletionStep.failures)
        .execution_options(synchronize_session=False)
    )
    claimed = (await session.execute(statement)).all()
    users = select(AccountDeletion.id, AccountDeletion.user_id).where(
        AccountDeletion.id.in_([deletion_id for deletion_id, *_ in claimed])
    )
    user_ids = {deletion_id: user_id for deletion_id, user_id in await session.execute(users) if user_id is not None}
    return [Step(each, service, user_ids[each], failures) for each, service, failures in claimed if each in user_ids]


async def note_failure(session: AsyncSession, step: Step, error: str, pause: timedelta) -> None:
    """Writes down that a service couldn't be asked; it is asked again after a pause."""
    now = func.clock_timestamp()
    await session.execute(
        _one(step).values(
            error=error,
            failures=step.failures + 1,
            next_try_at=now + pause,
            updated_at=now,
        )
    )


async def note_answer(
    session: AsyncSession, step: Step, *, found: int, pending: int, settle: timedelta, pause: timedelta
) -> bool:
    """Writes down what a service has come upon; returns whether it is done.

    It is when it comes upon nothing at a time when nothing more can come: `settle` after the account has ended.
    """
    now = func.clock_timestamp()
    settled_at = (
        select(AccountDeletion.created_at + settle).where(AccountDeletion.id == step.deletion_id).scalar_subquery()
    )
    empty = found == 0 and pending == 0
    done = and_(literal(empty), now >= settled_at)
    again = func.greatest(now + pause, settled_at) if empty else now + pause
    state = await session.scalar(
        _one(step)
        .values(
            state=case((done, _DONE.value), else_=DeletionState.DELETING.value),
            found=DeletionStep.found + found,
            failures=0,
            error="",
            next_try_at=again,
            updated_at=now,
        )
        .returning(DeletionStep.state)
    )
    return state is _DONE


async def finish(session: AsyncSession, deletion_id: UUID, now: datetime) -> bool:
    """Ends the end of an account if every service is done with it: nobody knows any more whose it was."""
    deletion = await session.scalar(select(AccountDeletion).where(AccountDeletion.id == deletion_id).with_for_update())
    undone = exists().where(DeletionStep.deletion_id == deletion_id, DeletionStep.state != _DONE)
    if deletion is None or deletion.ended_at is not None or await session.scalar(select(undone)):
        return False
    deletion.user_id = None
    deletion.ended_at = now
    return True


async def forget(session: AsyncSession, before: datetime) -> None:
    """Deletes what is left of ends that were finished before a moment."""
    await session.execute(delete(AccountDeletion).where(AccountDeletion.ended_at < before))


def _one(step: Step) -> Update:
    mine = (DeletionStep.deletion_id == step.deletion_id) & (DeletionStep.service == step.service)
    return update(DeletionStep).where(mine, DeletionStep.state != _DONE)
