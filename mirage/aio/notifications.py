"""What the caller is told of: `client.notifications`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from mirage.activity.v1 import notification_pb2 as pb
from mirage.aio.paging import collect
from mirage.aio.watching import follow
from mirage.connection import Connection
from mirage.records.notification import Notification, NotificationEvent, NotificationPreferences


class AsyncNotifications:
    """What the caller is told of without asking."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self, *, unread_only: bool = False, limit: int | None = None) -> list[Notification]:
        """Returns notifications, the newest first.

        Args:
            unread_only: only those that aren't marked as read.
            limit: how many; None for all.
        """

        async def page(size: int, token: str) -> tuple[list[Notification], str]:
            request = pb.ListNotificationsRequest(page_size=size, page_token=token, unread_only=unread_only)
            answer = await self._connection.call(self._connection.notifications.ListNotifications, request)
            return [Notification(each) for each in answer.notifications], answer.next_page_token

        return await collect(page, limit)

    def watch(self, resume_token: str = "", timeout_s: float | None = None) -> AsyncGenerator[NotificationEvent, None]:
        """Yields notifications as they are made: new ones, or those since `resume_token` (of an earlier event).

        A broken connection is taken up again where it broke. The stream doesn't end by itself.

        Raises:
            TimedOut: after `timeout_s`, if given.
        """
        began_at = resume_token

        async def events(token: str) -> AsyncGenerator[NotificationEvent, None]:
            nonlocal began_at
            request = pb.WatchNotificationsRequest(resume_token=token or began_at)
            method = self._connection.notifications.WatchNotifications
            async with aclosing(self._connection.receive(method, request)) as messages:
                async for message in messages:
                    began_at = began_at or message.resume_token  # nothing is missed, should it break before the first
                    yield NotificationEvent(message)

        return follow(events, _never, resume_token=resume_token, timeout_s=timeout_s)

    async def mark_read(self, *notification_ids: str, all: bool = False) -> int:  # noqa: A002 -- as the platform names it
        """Marks notifications as read, those named or all; returns how many were unread.

        Raises:
            InvalidRequest: if neither is given, or both.
        """
        request = pb.ReadNotificationsRequest(notification_ids=notification_ids, all=all)
        answer = await self._connection.call(self._connection.notifications.ReadNotifications, request)
        return answer.read_count

    async def delete(self, notification_id: str) -> None:
        """Deletes a notification; one that is gone stays gone.

        Raises:
            NotFound: if it is somebody else's.
        """
        request = pb.DeleteNotificationRequest(notification_id=notification_id)
        await self._connection.call(self._connection.notifications.DeleteNotification, request)

    async def preferences(self) -> NotificationPreferences:
        """Returns of what the caller is told, and how."""
        request = pb.GetNotificationPreferencesRequest()
        return NotificationPreferences(
            await self._connection.call(self._connection.notifications.GetNotificationPreferences, request)
        )

    async def set_preference(
        self, kind: str, *, enabled: bool | None = None, push: bool | None = None, email: bool | None = None
    ) -> NotificationPreferences:
        """Changes how the caller is told of a kind; what is None stays.

        Raises:
            InvalidRequest: if there is no such kind.
        """
        change = pb.NotificationPreferenceChange(kind=kind, enabled=enabled, push=push, email=email)
        request = pb.UpdateNotificationPreferencesRequest(kinds=[change])
        return NotificationPreferences(
            await self._connection.call(self._connection.notifications.UpdateNotificationPreferences, request)
        )


async def _never() -> bool:
    return False
