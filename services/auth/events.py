"""What auth tells the platform's log, each in the transaction of its change."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mirage.activity.v1 import event_pb2
from servicekit import outbox
from servicekit.access import Role
from servicekit.event_kinds import EventKind
from servicekit.events import happened
from services.auth.models import ApiKey, Session, User
from services.auth.repository import EndedSession

_ACCOUNT, _SESSION, _API_KEY = "account", "session", "api_key"


async def account_registered(session: AsyncSession, user: User, *, by_owner: bool = True) -> None:
    """An account was made: by who signed up, or by whoever keeps the platform."""
    event = happened(
        EventKind.ACCOUNT_REGISTERED,
        _ACCOUNT,
        user.id,
        owner_id=user.id,
        actor_id=user.id if by_owner else None,
        actor_role=user.role.value if by_owner else "",
        attributes={"role": user.role},
        personal=_names(user),
    )
    await outbox.add(session, event)


async def account_updated(session: AsyncSession, user: User, fields: Iterable[str]) -> None:
    """Details of an account have changed; `fields` are their names."""
    changed = {"fields": sorted(fields)}
    await outbox.add(session, _of_account(EventKind.ACCOUNT_UPDATED, user, changed, personal=_names(user)))


async def password_changed(session: AsyncSession, user: User) -> None:
    """An account has another password."""
    await outbox.add(session, _of_account(EventKind.ACCOUNT_PASSWORD_CHANGED, user))


async def account_switched(session: AsyncSession, user: User) -> None:
    """An account was switched on or off."""
    kind = EventKind.ACCOUNT_ACTIVATED if user.active else EventKind.ACCOUNT_DEACTIVATED
    await outbox.add(session, _of_account(kind, user))


async def role_changed(session: AsyncSession, user: User, before: Role) -> None:
    """An account has another role."""
    roles = {"role": user.role, "previous_role": before}
    await outbox.add(session, _of_account(EventKind.ACCOUNT_ROLE_CHANGED, user, roles))


async def account_deleted(session: AsyncSession, user: User) -> None:
    """An account is no more: whoever keeps something of its owner's drops it when told."""
    await outbox.add(session, _of_account(EventKind.ACCOUNT_DELETED, user))


async def session_started(session: AsyncSession, family: Session, role: Role, *, is_first: bool, seen: bool) -> None:
    """Somebody has signed in. `seen`: from a device from which they had before; a first sign-in has no such thing."""
    event = happened(
        EventKind.SESSION_STARTED,
        _SESSION,
        family.id,
        owner_id=family.user_id,
        actor_id=family.user_id,
        actor_role=role.value,
        attributes={"new_device": not is_first and not seen, "first": is_first, "scopes": family.scopes},
        personal={"address": family.address, "user_agent": family.user_agent},
    )
    await outbox.add(session, event)


async def sessions_ended(
    session: AsyncSession, owner_id: UUID, ended: Sequence[EndedSession], now: datetime, cause: str
) -> None:
    """Sessions are over: signed out, ended by what happened to the account, or too old."""
    events = [
        happened(
            EventKind.SESSION_ENDED,
            _SESSION,
            each.session_id,
            owner_id=owner_id,
            attributes={"seconds": round((now - each.created_at).total_seconds(), 3), "cause": cause},
        )
        for each in ended
    ]
    await outbox.add(session, *events)


async def refresh_token_reused(session: AsyncSession, family: Session, address: str) -> None:
    """A refresh token came a second time: it is in two hands, so its session is over."""
    event = happened(
        EventKind.REFRESH_TOKEN_REUSED,
        _SESSION,
        family.id,
        owner_id=family.user_id,
        personal={"address": address, "user_agent": family.user_agent},
    )
    await outbox.add(session, event)


async def api_key_created(session: AsyncSession, key: ApiKey) -> None:
    """A key was made."""
    facts = {"scopes": key.scopes, "expires_at": key.expires_at}
    await outbox.add(session, _of_key(EventKind.API_KEY_CREATED, key, facts))


async def api_key_deleted(session: AsyncSession, key: ApiKey) -> None:
    """A key was deleted."""
    await outbox.add(session, _of_key(EventKind.API_KEY_DELETED, key, {}))


def _of_account(
    kind: EventKind,
    user: User,
    attributes: Mapping[str, Any] | None = None,
    personal: Mapping[str, Any] | None = None,
) -> event_pb2.Event:
    return happened(kind, _ACCOUNT, user.id, owner_id=user.id, attributes=attributes, personal=personal)


def _of_key(kind: EventKind, key: ApiKey, attributes: Mapping[str, Any]) -> event_pb2.Event:
    return happened(kind, _API_KEY, key.id, owner_id=key.user_id, attributes=attributes, personal={"name": key.name})


def _names(user: User) -> dict[str, str]:
    return {"email": user.email, "display_name": user.display_name}
