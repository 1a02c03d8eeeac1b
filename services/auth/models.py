"""The auth service's rows."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Enum, ForeignKey, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from servicekit.access import Role
from servicekit.database import metadata


class RevocationKind(StrEnum):
    """What a revocation is about."""

    SESSION = "session"  # a session or an API key: a token's `sid`
    USER = "user"  # an account: a token's `sub`


class DeletionState(StrEnum):
    """How far a service is with the end of an account."""

    WAITING = "waiting"  # hasn't answered yet
    DELETING = "deleting"
    DONE = "done"  # nothing is left there


class Requester(StrEnum):
    """Who wanted an account to end."""

    OWNER = "owner"
    ADMINISTRATOR = "administrator"


def _words(kind: type[StrEnum]) -> Enum:
    return Enum(kind, native_enum=False, length=20, values_callable=lambda members: [each.value for each in members])


class Base(DeclarativeBase):
    """Every table of the auth service."""

    metadata = metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way to say it
        datetime: DateTime(timezone=True),
        str: Text,
        RevocationKind: _words(RevocationKind),
        Role: _words(Role),
        DeletionState: _words(DeletionState),
        Requester: _words(Requester),
    }


class User(Base):
    """An account."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('user', 'administrator')", name="role"),
        # Few rows of many: what guards the last administrator reads only these.
        Index("ix_users_active_administrators", "id", postgresql_where=text("role = 'administrator' AND active")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    # The address case-folded by Python: what SQL's lower() makes of a letter hangs on the database's locale.
    email_key: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str]
    password_hash: Mapped[str]
    # When the password itself changed; a hash upgraded at login leaves it alone.
    password_changed_at: Mapped[datetime]
    role: Mapped[Role]
    active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]


class Profile(Base):
    """Details beyond the account; absent until the first change."""

    __tablename__ = "profiles"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    organisation: Mapped[str]
    locale: Mapped[str]
    preferences: Mapped[dict[str, Any]] = mapped_column(JSONB)
    updated_at: Mapped[datetime]


class Session(Base):
    """One sign-in on one device: the family of refresh tokens that follow from it."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user_id_last_used_at_id", "user_id", "last_used_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    user_agent: Mapped[str]
    address: Mapped[str]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_cause: Mapped[str | None]
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # what its tokens are limited to; None: to nothing


class RefreshToken(Base):
    """One refresh token of a session. Used ones stay until they expire: that is how a second use is noticed."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)  # SHA-256
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiKey(Base):
    """A long-lived key for a program. A deleted one stays for a while, so that it can still be looked into."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_user_id_id", "user_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)  # SHA-256
    hint: Mapped[str]  # the key's last characters
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))  # sorted
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    last_used_address: Mapped[str]
    deleted_at: Mapped[datetime | None]


class Revocation(Base):
    """Access tokens that are refused before they expire; kept until the last of them has expired."""

    __tablename__ = "revocations"
    __table_args__ = (CheckConstraint("kind IN ('session', 'user')", name="kind"),)

    # In the order of commits, since whoever adds one holds a lock until then: no reader misses one that comes late.
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[RevocationKind]
    subject_id: Mapped[UUID]
    issued_until: Mapped[datetime]  # tokens issued later are good
    cause: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Throttle(Base):
    """How much somebody has tried lately."""

    __tablename__ = "throttles"

    key_hash: Mapped[bytes] = mapped_column(primary_key=True)  # SHA-256 of the rule and whom it counts
    # When all attempts are forgotten (the theoretical arrival time of the generic cell rate algorithm).
    clear_at: Mapped[datetime] = mapped_column(index=True)


class AccountDeletion(Base):
    """The end of an account. Its row in `users` is gone; this one sees to it that nothing else is left.

    Once nothing is, it doesn't know any more whose it was, and stays for a while to tell that it happened.
    """

    __tablename__ = "account_deletions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(unique=True)  # null once it is finished
    requested_by: Mapped[Requester]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    steps: Mapped[list["DeletionStep"]] = relationship(lazy="raise", order_by="DeletionStep.service")


class DeletionStep(Base):
    """What one service has to do with the end of an account."""

    __tablename__ = "account_deletion_steps"
    __table_args__ = (Index("ix_account_deletion_steps_due", "next_try_at", postgresql_where=text("state <> 'done'")),)

    deletion_id: Mapped[UUID] = mapped_column(ForeignKey("account_deletions.id", ondelete="CASCADE"), primary_key=True)
    service: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[DeletionState]
    attempts: Mapped[int]
    failures: Mapped[int]  # since the last answer
    found: Mapped[int]  # how many things the service has come upon
    error: Mapped[str]  # why the last attempt failed; empty if it didn't
    # When it is next to be asked; while it is asked, when somebody else may ask. By the database's clock.
    next_try_at: Mapped[datetime]
    updated_at: Mapped[datetime]
