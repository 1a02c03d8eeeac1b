"""Notifications, preferences and browsers as messages. Pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from mirage.activity.v1 import notification_pb2
from servicekit.timestamps import to_timestamp
from services.activity.models import Notification, PushSubscription
from services.activity.notifying.kinds import DESCRIPTIONS, NotificationKind, Preference


def notification_to_proto(row: Notification) -> notification_pb2.Notification:
    """A notification."""
    return notification_pb2.Notification(
        notification_id=str(row.id),
        kind=row.kind,
        title=row.title,
        body=row.body,
        object_type=row.object_type,
        object_id=row.object_id,
        create_time=to_timestamp(row.created_at),
        read_time=to_timestamp(row.read_at),
    )


def preferences_to_proto(
    preferences: Mapping[NotificationKind, Preference], *, vapid_public_key: str, email_available: bool
) -> notification_pb2.NotificationPreferences:
    """How somebody is told of every kind."""
    kinds = [
        notification_pb2.NotificationPreference(
            kind=kind,
            enabled=each.enabled,
            push=each.push,
            email=each.email,
            description=DESCRIPTIONS[kind],
        )
        for kind, each in preferences.items()
    ]
    return notification_pb2.NotificationPreferences(
        kinds=kinds, vapid_public_key=vapid_public_key, email_available=email_available
    )


def browser_to_proto(row: PushSubscription) -> notification_pb2.PushSubscription:
    """A browser, without what would let anybody write to it."""
    return notification_pb2.PushSubscription(
        push_subscription_id=str(row.id),
        host=urlsplit(row.endpoint).hostname or "",
        create_time=to_timestamp(row.created_at),
        delivery_time=to_timestamp(row.delivered_at),
    )
