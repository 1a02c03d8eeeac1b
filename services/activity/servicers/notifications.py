"""The RPCs of NotificationService."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.activity.v1 import notification_pb2, notification_pb2_grpc
from servicekit.errors import InvalidRequest, Violation
from servicekit.follow import decode_resume_token, encode_resume_token, follow
from servicekit.identity import caller
from servicekit.ids import parse_id
from servicekit.limits import check
from servicekit.listen import Listener
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from servicekit.timestamps import utc_now
from services.activity.errors import NotificationNotFound
from services.activity.models import Notification
from services.activity.notifying import convert, repository
from services.activity.notifying.kinds import NotificationKind, Preference
from services.activity.notifying.repository import NOTIFICATIONS_CHANNEL

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_BATCH = 100


@dataclass(frozen=True)
class _Shown:
    """A notification as a stream follows it."""

    seq: int
    message: notification_pb2.Notification
    last: bool = False  # there is always more to come


class NotificationServicer(notification_pb2_grpc.NotificationServiceServicer):
    """A user's notifications."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        listener: Listener,
        heartbeat_s: float,
        *,
        vapid_public_key: str,
        email_available: bool,
    ) -> None:
        self._sessions = sessions
        self._listener = listener
        self._heartbeat_s = heartbeat_s
        self._vapid_public_key = vapid_public_key
        self._email_available = email_available

    async def ListNotifications(
        self, request: notification_pb2.ListNotificationsRequest, context: Context
    ) -> notification_pb2.ListNotificationsResponse:
        """Lists the caller's notifications."""
        check(request)
        owner_id = caller().user_id
        query = {"list": "notifications", "owner_id": owner_id, "unread_only": request.unread_only}
        limit = page_limit(request.page_size)
        key = decode_page_token(request.page_token, query)
        before = None if key is None else key.get("seq")
        if key is not None and not isinstance(before, int):
            raise InvalidRequest([Violation("page_token", "must be a next_page_token, unchanged")])
        async with self._sessions() as session:
            found = await repository.page(
                session, owner_id, unread_only=request.unread_only, before=before, limit=limit + 1
            )
            unread = await repository.unread_count(session, owner_id)
        token = encode_page_token(query, {"seq": found[limit - 1].seq}) if len(found) > limit else ""
        return notification_pb2.ListNotificationsResponse(
            notifications=map(convert.notification_to_proto, found[:limit]), next_page_token=token, unread_count=unread
        )

    async def ReadNotifications(
        self, request: notification_pb2.ReadNotificationsRequest, context: Context
    ) -> notification_pb2.ReadNotificationsResponse:
        """Marks notifications as read."""
        check(request)
        if request.all == bool(request.notification_ids):
            told = "must be given, or all set to true; not both"
            raise InvalidRequest([Violation("notification_ids", told)])
        owner_id = caller().user_id
        wanted = None if request.all else [UUID(text) for text in request.notification_ids]
        async with self._sessions.begin() as session:
            changed = await repository.mark_read(session, owner_id, wanted, utc_now())
            unread = await repository.unread_count(session, owner_id)
        return notification_pb2.ReadNotificationsResponse(read_count=changed, unread_count=unread)

    async def DeleteNotification(
        self, request: notification_pb2.DeleteNotificationRequest, context: Context
    ) -> notification_pb2.DeleteNotificationResponse:
        """Deletes a notification."""
        notification_id = parse_id(request.notification_id, NotificationNotFound)
        async with self._sessions.begin() as session:
            found = await repository.find(session, notification_id)
            if found is not None and found.owner_id != caller().user_id:
                raise NotificationNotFound(notification_id)
            await repository.remove(session, caller().user_id, notification_id)
        return notification_pb2.DeleteNotificationResponse()

    async def WatchNotifications(
        self, request: notification_pb2.WatchNotificationsRequest, context: Context
    ) -> AsyncIterator[notification_pb2.NotificationEvent]:
        """Streams the caller's notifications as they are made."""
        owner_id = caller().user_id
        after = decode_resume_token(request.resume_token, owner_id)
        if not request.resume_token:
            async with self._sessions() as session:
                after = await repository.last_seq(session)

        async def fetch(seq: int) -> Sequence[_Shown]:
            async with self._sessions() as session:
                found = await repository.after(session, owner_id, seq, _BATCH)
            return [_shown(each) for each in found]

        batches = follow(
            fetch,
            self._listener,
            NOTIFICATIONS_CHANNEL,
            str(owner_id),
            after=after,
            heartbeat_s=self._heartbeat_s,
        )
        # At once, so that whoever watches knows from where on, before anything has happened.
        yield await self._event(owner_id, after, None)
        async with aclosing(batches) as opened:  # type: ignore[type-var]  # follow() is a generator
            async for batch in opened:
                for shown in batch:
                    after = shown.seq
                    yield await self._event(owner_id, after, shown.message)
                if not batch:
                    yield await self._event(owner_id, after, None)

    async def _event(
        self, owner_id: UUID, seq: int, message: notification_pb2.Notification | None
    ) -> notification_pb2.NotificationEvent:
        async with self._sessions() as session:
            unread = await repository.unread_count(session, owner_id)
        return notification_pb2.NotificationEvent(
            resume_token=encode_resume_token(owner_id, seq),
            notification=message,
            unread_count=unread,
            sequence=0 if message is None else seq,
        )

    async def GetNotificationPreferences(
        self, request: notification_pb2.GetNotificationPreferencesRequest, context: Context
    ) -> notification_pb2.NotificationPreferences:
        """Returns of what the caller is told, and how."""
        async with self._sessions() as session:
            return self._preferences(await repository.preferences_of(session, caller().user_id))

    async def UpdateNotificationPreferences(
        self, request: notification_pb2.UpdateNotificationPreferencesRequest, context: Context
    ) -> notification_pb2.NotificationPreferences:
        """Changes of what the caller is told, and how."""
        check(request)
        if twice := _twice(request.kinds):
            raise InvalidRequest(Violation(f"kinds.{index}.kind", "is named twice") for index in twice)
        async with self._sessions.begin() as session:
            before = await repository.preferences_of(session, caller().user_id)
            changes = {NotificationKind(each.kind): _changed(before, each) for each in request.kinds}
            await repository.set_preferences(session, caller().user_id, changes)
        return self._preferences({**before, **changes})

    def _preferences(self, preferences: dict[NotificationKind, Preference]) -> notification_pb2.NotificationPreferences:
        return convert.preferences_to_proto(
            preferences, vapid_public_key=self._vapid_public_key, email_available=self._email_available
        )


def _shown(row: Notification) -> _Shown:
    return _Shown(row.seq, convert.notification_to_proto(row))


def _twice(kinds: Iterable[notification_pb2.NotificationPreferenceChange]) -> list[int]:
    """The places of kinds that were named before."""
    seen: set[str] = set()
    found = []
    for index, each in enumerate(kinds):
        if each.kind in seen:
            found.append(index)
        seen.add(each.kind)
    return found


def _changed(
    before: dict[NotificationKind, Preference], change: notification_pb2.NotificationPreferenceChange
) -> Preference:
    given = {name: getattr(change, name) for name in ("enabled", "push", "email") if change.HasField(name)}
    return replace(before[NotificationKind(change.kind)], **given)
