"""What users are told of."""

from typing import Any

from mirage.activity.v1 import notification_pb2 as pb
from mirage.records.base import Field, OptionalField, Record, time


class Notification(Record[pb.Notification]):
    """Something that a user is told of."""

    id = Field("notification_id", str, "Its id.")
    kind = Field("kind", str, "What kind it is, such as `job_ended`.")
    title = Field("title", str, "It in a few words.")
    body = Field("body", str, "It in a sentence or two.")
    object_type = Field("object_type", str, "What it is about, such as `job`.")
    object_id = Field("object_id", str, "The id of what it is about.")
    create_time = Field("create_time", time, "When it was made.")
    read_time = OptionalField("read_time", time, "When it was marked as read; None while it is unread.")

    def __repr__(self) -> str:
        return f"<Notification {self.kind} {self.id}>"


def _notification(message: pb.Notification) -> Notification:
    return Notification(message)


class NotificationEvent(Record[pb.NotificationEvent]):
    """A notification as it is made, or a heartbeat."""

    sequence = Field("sequence", int, "Its number, greater than those before it; 0 for a heartbeat.")
    resume_token = Field("resume_token", str, "To resume after this event.")
    notification = OptionalField("notification", _notification, "The notification; None for a heartbeat.")
    unread_count = Field("unread_count", int, "How many are unread.")

    @property
    def ended(self) -> bool:
        """Whether nothing is expected after it: there is always more to come."""
        return False


class NotificationPreference(Record[pb.NotificationPreference]):
    """How somebody is told of one kind of things."""

    kind = Field("kind", str, "The kind.")
    enabled = Field("enabled", bool, "Whether there are notifications of this kind at all.")
    push = Field("push", bool, "Whether they go to the registered browsers as well.")
    email = Field("email", bool, "Whether they go to the account's e-mail address as well.")
    description = Field("description", str, "What this kind tells of.")

    def __repr__(self) -> str:
        return f"<NotificationPreference {self.kind} {'on' if self.enabled else 'off'}>"


def _preferences(messages: Any) -> list[NotificationPreference]:
    return [NotificationPreference(message) for message in messages]


class NotificationPreferences(Record[pb.NotificationPreferences]):
    """Of what somebody is told, and how."""

    kinds = Field("kinds", _preferences, "Every kind there is.")
    vapid_public_key = Field("vapid_public_key", str, "By which a browser subscribes; empty where push is off.")
    email_available = Field("email_available", bool, "Whether this platform sends e-mail.")
