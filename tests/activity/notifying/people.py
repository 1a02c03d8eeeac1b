"""Somebody who is told of things."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from mirage.activity.v1 import notification_pb2, notification_pb2_grpc
from tests.activity.platform import Platform, event

_PATIENCE_S = 20.0


class Person:
    """Somebody who calls the service."""

    def __init__(self, platform: Platform, user_id: str | None = None) -> None:
        self.id = user_id or str(uuid4())
        self.stub = notification_pb2_grpc.NotificationServiceStub(platform.channel)
        self.metadata = (("authorization", f"Bearer {platform.tokens.user(self.id)}"),)

    async def listed(self, **fields: Any) -> notification_pb2.ListNotificationsResponse:
        request = notification_pb2.ListNotificationsRequest(**fields)
        answer: notification_pb2.ListNotificationsResponse = await self.stub.ListNotifications(
            request, metadata=self.metadata
        )
        return answer

    async def told(self, count: int) -> list[notification_pb2.Notification]:
        """So many notifications, the newest first, as soon as they are there."""
        async with asyncio.timeout(_PATIENCE_S):
            found = (await self.listed()).notifications
            while len(found) < count:
                await asyncio.sleep(0.02)
                found = (await self.listed()).notifications
        assert len(found) == count
        return list(found)

    def watch(self, resume_token: str = "") -> AsyncIterator[notification_pb2.NotificationEvent]:
        request = notification_pb2.WatchNotificationsRequest(resume_token=resume_token)
        self.watching = self.stub.WatchNotifications(request, metadata=self.metadata)
        return self.watching.__aiter__()

    async def set(self, *changes: dict[str, Any]) -> notification_pb2.NotificationPreferences:
        request = notification_pb2.UpdateNotificationPreferencesRequest(
            kinds=[notification_pb2.NotificationPreferenceChange(**change) for change in changes]
        )
        answer: notification_pb2.NotificationPreferences = await self.stub.UpdateNotificationPreferences(
            request, metadata=self.metadata
        )
        return answer


def happened_to(person: Person, kind: str, **fields: Any) -> Any:
    given = {"attributes": {}, "personal": {}, "related": {}, "owner_id": person.id, "actor_id": person.id, **fields}
    return event(kind, **given)
