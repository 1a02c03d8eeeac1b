"""Every query on notifications, preferences and browsers; the log's own are elsewhere."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, delete, func, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from servicekit.event_kinds import EventKind
from services.activity.models import (
    Administrator,
    Notification,
    NotificationPreference,
    PushSubscription,
    Record,
    View,
)
from services.activity.notifying.kinds import RULES, NotificationKind, Preference, default_preference

NOTIFICATIONS_CHANNEL = "activity_notifications"
"""Where it is announced that somebody has new notifications; the payload is their id."""

_VIEW = "notifications"
_ROLE_EVENTS = frozenset({EventKind.ACCOUNT_REGISTERED, EventKind.ACCOUNT_ROLE_CHANGED, EventKind.ACCOUNT_DELETED})
_KINDS = tuple(sorted({*RULES, *_ROLE_EVENTS}))
_ANNOUNCE = text("SELECT pg_notify(:channel, owner) FROM unnest(CAST(:owners AS text[])) AS owner")


async def lock_view(session: AsyncSession) -> int | None:
    """The number of the last record of which notifications were made; None while another process makes some."""
    statement = select(View.seq).where(View.name == _VIEW).with_for_update(skip_locked=True)
    seq: int | None = await session.scalar(statement)
    return seq


async def next_records(session: AsyncSession, after: int, limit: int) -> Sequence[Record]:
    """The next records that may concern somebody, in their order."""
    query = select(Record).where(Record.kind.in_(_KINDS), Record.seq > after).order_by(Record.seq).limit(limit)
    query = query.options(defer(Record.text), defer(Record.hash), defer(Record.previous_hash))
    return (await session.scalars(query)).all()


async def count_before(session: AsyncSession, record: Record, over: timedelta) -> int:
    """How many records of its kind and owner came within some time before a record."""
    query = select(func.count()).where(
        Record.owner_id == record.owner_id,
        Record.seq < record.seq,
        Record.kind == record.kind,
        Record.recorded_time > record.recorded_time - over,
    )
    return int(await session.scalar(query) or 0)


async def last_seq(session: AsyncSession) -> int:
    """The number of the last record; 0 where there is none."""
    return int(await session.scalar(select(func.max(Record.seq))) or 0)


async def advance_view(session: AsyncSession, seq: int) -> None:
    """Notes of which records notifications were made."""
    await session.execute(update(View).where(View.name == _VIEW).values(seq=seq))


async def note_role(session: AsyncSession, user_id: UUID, *, administers: bool) -> None:
    """Notes whether an account has the administrator's role."""
    if administers:
        statement = postgresql.insert(Administrator).values(user_id=user_id).on_conflict_do_nothing()
        await session.execute(statement)
    else:
        await session.execute(delete(Administrator).where(Administrator.user_id == user_id))


async def administrators(session: AsyncSession) -> set[UUID]:
    """Everybody with the administrator's role."""
    return set(await session.scalars(select(Administrator.user_id)))


async def preferences(
    session: AsyncSession, owner_ids: Collection[UUID]
) -> Mapping[tuple[UUID, NotificationKind], Preference]:
    """What people have said of kinds; nothing of what they haven't."""
    query = select(NotificationPreference).where(NotificationPreference.owner_id.in_(owner_ids))
    return {
        (row.owner_id, NotificationKind(row.kind)): Preference(row.enabled, row.push, row.email)
        for row in await session.scalars(query)
        if row.kind in set(NotificationKind)
    }


async def preferences_of(session: AsyncSession, owner_id: UUID) -> dict[NotificationKind, Preference]:
    """How somebody is told of every kind."""
    said = await preferences(session, [owner_id])
    return {kind: said.get((owner_id, kind), default_preference(kind)) for kind in NotificationKind}


async def set_preferences(
    session: AsyncSession, owner_id: UUID, changes: Mapping[NotificationKind, Preference]
) -> None:
    """Notes how somebody wants to be told."""
    for kind, preference in changes.items():
        values = {"enabled": preference.enabled, "push": preference.push, "email": preference.email}
        statement = postgresql.insert(NotificationPreference).values(owner_id=owner_id, kind=kind, **values)
        await session.execute(statement.on_conflict_do_update(index_elements=["owner_id", "kind"], set_=values))


async def add(session: AsyncSession, notifications: Sequence[Notification]) -> None:
    """Adds notifications and announces them; one that is there already stays as it is."""
    if not notifications:
        return
    rows = [
        {column.name: getattr(each, column.name) for column in Notification.__table__.columns} for each in notifications
    ]
    statement = postgresql.insert(Notification).on_conflict_do_nothing(index_elements=["owner_id", "seq"])
    await session.execute(statement, rows)
    owners = sorted({str(each.owner_id) for each in notifications})
    await session.execute(_ANNOUNCE, {"channel": NOTIFICATIONS_CHANNEL, "owners": owners})


async def find(session: AsyncSession, notification_id: UUID) -> Notification | None:
    """A notification."""
    return await session.get(Notification, notification_id)


async def page(
    session: AsyncSession, owner_id: UUID, *, unread_only: bool, before: int | None, limit: int
) -> Sequence[Notification]:
    """Somebody's notifications, the newest first, from before a number on."""
    query = _of(owner_id).order_by(Notification.seq.desc()).limit(limit)
    if unread_only:
        query = query.where(Notification.read_at.is_(None))
    if before is not None:
        query = query.where(Notification.seq < before)
    return (await session.scalars(query)).all()


async def after(session: AsyncSession, owner_id: UUID, seq: int, limit: int) -> Sequence[Notification]:
    """Somebody's next notifications after a number, in their order."""
    query = _of(owner_id).where(Notification.seq > seq).order_by(Notification.seq).limit(limit)
    return (await session.scalars(query)).all()


def _of(owner_id: UUID) -> Select[Notification]:
    return select(Notification).where(Notification.owner_id == owner_id)


async def unread_count(session: AsyncSession, owner_id: UUID) -> int:
    """How many of somebody's notifications are unread."""
    query = select(func.count()).where(Notification.owner_id == owner_id, Notification.read_at.is_(None))
    return int(await session.scalar(query) or 0)


async def mark_read(
    session: AsyncSession, owner_id: UUID, notification_ids: Collection[UUID] | None, now: datetime
) -> int:
    """Marks somebody's notifications as read, all of them without ids; returns how many were unread."""
    statement = update(Notification).where(Notification.owner_id == owner_id, Notification.read_at.is_(None))
    if notification_ids is not None:
        statement = statement.where(Notification.id.in_(notification_ids))
    changed = await session.scalars(statement.values(read_at=now).returning(Notification.id))
    return len(changed.all())


async def remove(session: AsyncSession, owner_id: UUID, notification_id: UUID) -> None:
    """Deletes one of somebody's notifications, if it is there."""
    await session.execute(
        delete(Notification).where(Notification.owner_id == owner_id, Notification.id == notification_id)
    )


class Browser(NamedTuple):
    """What a browser's subscription says."""

    endpoint: str
    p256dh: str
    auth: str


async def register(
    session: AsyncSession, subscription_id: UUID, owner_id: UUID, browser: Browser, now: datetime
) -> PushSubscription:
    """Registers a browser, for whoever uses it now."""
    values = {"owner_id": owner_id, "p256dh": browser.p256dh, "auth": browser.auth}
    statement = (
        postgresql.insert(PushSubscription)
        .values(id=subscription_id, endpoint=browser.endpoint, created_at=now, **values)
        .on_conflict_do_update(index_elements=["endpoint"], set_=values)
        .returning(PushSubscription)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def browsers(session: AsyncSession, owner_ids: Collection[UUID]) -> Sequence[PushSubscription]:
    """The browsers of some people, the newest first."""
    query = select(PushSubscription).where(PushSubscription.owner_id.in_(owner_ids))
    return (await session.scalars(query.order_by(PushSubscription.id.desc()))).all()


async def find_browser(session: AsyncSession, subscription_id: UUID) -> PushSubscription | None:
    """A browser."""
    return await session.get(PushSubscription, subscription_id)


async def forget_browsers(
    session: AsyncSession, subscription_ids: Iterable[UUID], owner_id: UUID | None = None
) -> None:
    """Forgets browsers, of one user only where one is given."""
    statement = delete(PushSubscription).where(PushSubscription.id.in_(list(subscription_ids)))
    await session.execute(statement if owner_id is None else statement.where(PushSubscription.owner_id == owner_id))


async def note_delivery(session: AsyncSession, subscription_id: UUID, now: datetime) -> None:
    """Notes that something was delivered to a browser."""
    await session.execute(
        update(PushSubscription).where(PushSubscription.id == subscription_id).values(delivered_at=now)
    )


async def switch_email_off(session: AsyncSession, owner_id: UUID) -> None:
    """Sends somebody no e-mail any more, of whatever kind."""
    now = await preferences_of(session, owner_id)
    await set_preferences(
        session,
        owner_id,
        {kind: Preference(each.enabled, each.push, email=False) for kind, each in now.items()},
    )
