"""Notifications on their way to browsers and mailboxes: a queue, tries again, and an end to them.

A delivery is a row of the service's queue. One that fails is put in again for later, each time for twice as long; after
the last try a browser is forgotten; a mailbox that the mail server knows nothing of gets no e-mail any more. The log
and the user are told so.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import structlog
from pgqueuer.models import Job as QueueRow
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.errors import Unavailable
from servicekit.event_kinds import EventKind
from servicekit.events import happened
from servicekit.patience import is_database_gone
from servicekit.queue import WorkQueue
from services.activity import recording
from services.activity.convert import happening_of
from services.activity.models import Notification
from services.activity.notifying import repository
from services.activity.notifying.kinds import NotificationKind, Preference

log = structlog.get_logger(__name__)

# Announcement channels are shared by a whole database; this one is this service's own.
QUEUE = WorkQueue("activity_queue", "deliver")

SLOTS = 8
_HEARTBEAT_S = 60.0
_AWAY_PAUSE_S = 1.0
_LONGEST_WAIT = timedelta(hours=1)
_SERVICE = "activity"


class Channel(StrEnum):
    """Ways out of the platform."""

    PUSH = "push"
    EMAIL = "email"


class TargetGone(Exception):
    """There is nobody at the target any more, and trying again won't help."""


class DeliveryFailed(Exception):
    """It could not be delivered this time."""


class Outlet(Protocol):
    """Delivers on one way."""

    async def deliver(self, notification: Notification, target: str) -> None:
        """Delivers a notification.

        Raises:
            TargetGone: the target is there no longer.
            DeliveryFailed: it may work later.
        """
        ...


@dataclass(frozen=True)
class Delivery:
    """What a row of the queue says."""

    notification_id: str
    channel: str
    target: str  # the browser's id; the receiver's own for e-mail
    attempt: int = 1

    def to_bytes(self) -> bytes:
        """The row's payload."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> "Delivery":
        """Reads a row's payload."""
        return cls(**json.loads(payload))


class Outlets:
    """The ways out of the platform that are switched on."""

    def __init__(self, ways: dict[Channel, Outlet], *, attempts: int, first_wait_s: float) -> None:
        """`attempts` in all, the second of which comes `first_wait_s` after the first."""
        self._ways = ways
        self._attempts = attempts
        self._first_wait_s = first_wait_s

    def has(self, channel: Channel) -> bool:
        """Whether a way is switched on."""
        return channel in self._ways

    async def browsers(self, session: AsyncSession, owner_ids: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        """The ids of the browsers to which something may go, by their owners."""
        found: defaultdict[UUID, list[UUID]] = defaultdict(list)
        if self.has(Channel.PUSH) and owner_ids:
            for browser in await repository.browsers(session, owner_ids):
                found[browser.owner_id].append(browser.id)
        return found

    async def order(
        self, session: AsyncSession, notification: Notification, preference: Preference, browsers: Sequence[UUID]
    ) -> None:
        """Puts a notification's deliveries into the queue, in this transaction; `browsers` are its receiver's."""
        for browser_id in browsers if preference.push else ():
            await _enqueue(session, Delivery(str(notification.id), Channel.PUSH, str(browser_id)))
        # That e-mail doesn't arrive is not told by e-mail.
        if preference.email and self.has(Channel.EMAIL) and notification.kind != NotificationKind.DELIVERY_DROPPED:
            await _enqueue(session, Delivery(str(notification.id), Channel.EMAIL, str(notification.owner_id)))

    async def keep_delivering(self, sessions: async_sessionmaker[AsyncSession], dsn: str, stop: asyncio.Event) -> None:
        """Delivers what is in the queue until `stop`, also where the database comes only later."""

        async def handle(row: QueueRow) -> None:
            delivery = Delivery.from_bytes(row.payload or b"{}")
            try:
                await self.deliver(sessions, delivery)
            except Exception as error:  # ours, not the target's: the database away, or a slip of ours
                log.exception("delivery_broken", gone=is_database_gone(error))
                raise

        while not stop.is_set():
            try:
                await QUEUE.consume(dsn, handle, slots=SLOTS, heartbeat_s=_HEARTBEAT_S, stop=stop)
            except Exception as error:  # whatever it is, people must be told in the end
                log.warning("queue_lost", error=type(error).__name__)
                await asyncio.sleep(_AWAY_PAUSE_S)

    async def deliver(self, sessions: async_sessionmaker[AsyncSession], delivery: Delivery) -> None:
        """Tries a delivery once; what fails is put in again, or its target is given up."""
        async with sessions() as session:
            notification = await repository.find(session, UUID(delivery.notification_id))
        way = self._ways.get(Channel(delivery.channel))
        if notification is None or way is None or notification.read_at is not None:
            return  # it was deleted, read meanwhile, or the way was switched off
        try:
            await way.deliver(notification, delivery.target)
        except TargetGone as error:
            await _give_up(sessions, notification, delivery, str(error))
        except Unavailable:  # another part of the platform is away: no fault of the target's
            await self._again(sessions, delivery)
        except DeliveryFailed as error:
            log.info("delivery_failed", channel=delivery.channel, attempt=delivery.attempt, error=str(error))
            if delivery.attempt < self._attempts:
                await self._again(sessions, replace(delivery, attempt=delivery.attempt + 1))
            elif delivery.channel == Channel.PUSH:
                await _give_up(sessions, notification, delivery, str(error))
            else:  # the mail server's fault, which would drop everybody
                log.error("mail_dropped", attempts=delivery.attempt, error=str(error))  # noqa: TRY400 - the text says it

    async def _again(self, sessions: async_sessionmaker[AsyncSession], delivery: Delivery) -> None:
        """Puts a delivery in for later."""
        wait = min(timedelta(seconds=self._first_wait_s * 2 ** (max(delivery.attempt, 2) - 2)), _LONGEST_WAIT)
        async with sessions.begin() as session:
            await _enqueue(session, delivery, wait)


async def _enqueue(session: AsyncSession, delivery: Delivery, wait: timedelta | None = None) -> None:
    await QUEUE.enqueue(session, delivery.to_bytes(), wait=wait)


async def _give_up(
    sessions: async_sessionmaker[AsyncSession], notification: Notification, delivery: Delivery, why: str
) -> None:
    """Forgets a target, and says so."""
    log.warning("target_dropped", channel=delivery.channel, attempts=delivery.attempt, error=why)
    event = happened(
        EventKind.NOTIFICATION_DELIVERY_DROPPED,
        "push_subscription" if delivery.channel == Channel.PUSH else "account",
        delivery.target,
        owner_id=notification.owner_id,
        attributes={"channel": delivery.channel, "attempts": delivery.attempt, "reason": why},
    )
    async with sessions.begin() as session:
        if delivery.channel == Channel.PUSH:
            if await repository.find_browser(session, UUID(delivery.target)) is None:
                return  # another delivery has found that already
            await repository.forget_browsers(session, [UUID(delivery.target)])
        else:
            await repository.switch_email_off(session, notification.owner_id)
        await recording.record(session, _SERVICE, [happening_of(event)])
