"""The auth service's rows."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Enum, ForeignKey, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from servicekit.access import Role
from servicekit.database import metadata


class RevocationKind(StrEnum):
    """What a revocation is about."""

    SESSION = "session"  # a session or an API key: a token's `sid`
    USER = "user"  # an account: a token's `sub`


class Base(DeclarativeBase):
    """Every table of the auth service."""

    metadata = metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way to say it
        datetime: DateTime(timezone=True),
        str: Text,
        RevocationKind: Enum(
            RevocationKind, native_enum=False, length=20, values_callable=lambda kinds: [kind.value for kind in kinds]
        ),
        Role: Enum(Role, native_enum=False, length=20, values_callable=lambda roles: [role.value for role in roles]),
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
