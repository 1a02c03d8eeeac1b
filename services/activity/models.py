"""The activity service's rows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Float, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from servicekit import database

Document = dict[str, Any]  # JSON


class Base(DeclarativeBase):
    """Every table of the activity service."""

    metadata = database.metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way to say it
        datetime: DateTime(timezone=True),
        str: Text,
        float: Float(53),
        bytes: LargeBinary,
        Document: JSONB,
        dict[str, str]: JSONB,
    }


class Record(Base):
    """What happened, in the order in which the log took it. Rows are added, never changed but for what names people.

    Who deletes their account takes their key with them. The ids are then emptied, or hold the commitment that the text
    holds; the text and the hashes stay as they are.
    """

    __tablename__ = "records"
    __table_args__ = (
        Index("ix_records_owner_id_seq", "owner_id", "seq"),
        Index("ix_records_actor_id_seq", "actor_id", "seq"),
        Index("ix_records_object_id_seq", "object_id", "seq"),
        Index("ix_records_kind_seq", "kind", "seq"),
        Index("ix_records_recorded_time_seq", "recorded_time", "seq"),
        Index("ix_records_related", "related", postgresql_using="gin", postgresql_ops={"related": "jsonb_path_ops"}),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # from 1, without gaps
    event_id: Mapped[UUID] = mapped_column(unique=True)
    service: Mapped[str]  # the service that told, by its identity
    kind: Mapped[str]
    occurred_time: Mapped[datetime]  # by the source's clock
    recorded_time: Mapped[datetime]  # by this service's clock; never less than the record's before
    clock_offset_seconds: Mapped[float | None]  # how far the source's clock is ahead, where that is more than a little
    actor_id: Mapped[UUID | None]
    actor_role: Mapped[str]
    owner_id: Mapped[UUID | None]
    object_type: Mapped[str]
    object_id: Mapped[str]
    related: Mapped[dict[str, str]]  # other objects' ids
    attributes: Mapped[Document]  # what names nobody
    sealed: Mapped[bytes]  # what may name somebody, unreadable without their key; empty where there is nothing
    request_id: Mapped[str]
    trace_id: Mapped[str]
    text: Mapped[str]  # the canonical text of all that, which is hashed (`mirage.audit.record`)
    previous_hash: Mapped[bytes]
    hash: Mapped[bytes]


class Checkpoint(Base):
    """What the platform has signed of the log."""

    __tablename__ = "checkpoints"

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # records that it covers
    token: Mapped[str]  # signed (`mirage.audit.checkpoint`)


class Person(Base):
    """Whom records name, and the key by which they are committed to and what names them is sealed.

    Of who was forgotten a row without a key stays, under an alias of their id, so that what is told of them later names
    nobody either. What has nobody to belong to, such as a sign-in to no account, is under the key of the nil UUID.
    """

    __tablename__ = "people"

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[bytes | None]  # 32 random bytes
    forgotten_time: Mapped[datetime | None]


class Notification(Base):
    """What somebody is told of."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_owner_id_seq", "owner_id", "seq", unique=True),
        Index("ix_notifications_unread", "owner_id", postgresql_where=text("read_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]  # who is told
    seq: Mapped[int] = mapped_column(BigInteger)  # of the record that it was made of
    kind: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    object_type: Mapped[str]
    object_id: Mapped[str]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class NotificationPreference(Base):
    """How somebody is told of a kind of things, where they have said so."""

    __tablename__ = "notification_preferences"

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    enabled: Mapped[bool]
    push: Mapped[bool]
    email: Mapped[bool]


class PushSubscription(Base):
    """A browser that is told by its push service."""

    __tablename__ = "push_subscriptions"
    __table_args__ = (Index("ix_push_subscriptions_owner_id", "owner_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    endpoint: Mapped[str] = mapped_column(unique=True)
    p256dh: Mapped[str]  # base64url
    auth: Mapped[str]  # base64url
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class Administrator(Base):
    """An account with the administrator's role, as the log tells."""

    __tablename__ = "administrators"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)


class View(Base):
    """How far a view of the log has come."""

    __tablename__ = "views"

    name: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)  # of the last record that it has taken
