"""Every account, for administrators. At least one administrator stays active, whatever happens at once."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.access import Role
from servicekit.database import Database
from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import parse_id
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from servicekit.timestamps import utc_now
from servicekit.validation import validated
from services.auth import events, repository, revocations
from services.auth.accounts import new_account
from services.auth.deletions import Deletions
from services.auth.errors import UserNotFound
from services.auth.inputs import Registration, RoleChange, UserFilter, email_key
from services.auth.last_administrator import ensure_another
from services.auth.models import Requester, User
from services.auth.passwords import Passwords

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Appointment:
    """An administrator that was made."""

    user: User
    created: bool  # False: the account existed and was promoted
    generated_password: str = field(repr=False)  # empty unless one was needed and none was given


class Administration:
    """The use cases around everybody's accounts."""

    def __init__(self, database: Database, deletions: Deletions) -> None:
        self._database = database
        self._deletions = deletions

    async def page(self, filters: dict[str, Any], page_size: int, page_token: str) -> tuple[Sequence[User], str]:
        """Accounts, the newest first, and the token of the next page.

        Raises:
            InvalidRequest: a filter, the page size or the page token is wrong.
        """
        wanted = validated(UserFilter, filters)
        limit = page_limit(page_size)
        query = {"list": "users", **wanted.model_dump()}
        before_id = _user_key(decode_page_token(page_token, query))
        async with self._database.sessions() as session:
            found = await repository.page_of_users(session, wanted, before_id=before_id, limit=limit + 1)
        shown = found[:limit]
        return shown, encode_page_token(query, {"id": str(shown[-1].id)}) if len(found) > limit else ""

    async def get(self, user_id: str) -> User:
        """One account.

        Raises:
            UserNotFound: there is none with this id.
        """
        async with self._database.sessions() as session:
            user = await repository.get_user(session, parse_id(user_id, UserNotFound))
        if user is None:
            raise UserNotFound(user_id)
        return user

    async def delete(self, user_id: str) -> UUID:
        """Ends an account, and has all that is its user's deleted everywhere; returns the deletion's id.

        Raises:
            UserNotFound: there is none with this id.
            LastAdministrator: nobody else could administer the platform.
        """
        async with self._changing(user_id) as (session, user):
            await ensure_another(session, user)
            deletion_id = await self._deletions.begin(session, user, Requester.ADMINISTRATOR)
        self._deletions.begun.set()
        log.info("account_deleted", target_user_id=user_id, deletion_id=str(deletion_id))
        return deletion_id

    async def set_active(self, user_id: str, active: bool | None) -> User:
        """Switches an account on, or off with all its sessions; None switches it to the other state.

        Raises:
            UserNotFound: there is none with this id.
            LastAdministrator: nobody else could administer the platform.
        """
        async with self._changing(user_id) as (session, user):
            wanted = not user.active if active is None else active
            if wanted == user.active:
                return user
            now = utc_now()
            if not wanted:
                await ensure_another(session, user)
                await revocations.end_sessions_of(session, user.id, now, "account_deactivated")
            user.active = wanted
            user.updated_at = now
            await events.account_switched(session, user)
            if not wanted:
                await revocations.revoke_user(session, user.id, "account_deactivated")
        log.info("account_activated" if wanted else "account_deactivated", target_user_id=user_id)
        return user

    async def set_role(self, user_id: str, role: str) -> User:
        """Sets an account's role. Tokens that carry the old one are revoked; a demoted administrator's sessions end.

        Raises:
            InvalidRequest: there is no such role.
            UserNotFound: there is none with this id.
            LastAdministrator: nobody else could administer the platform.
        """
        wanted = Role(validated(RoleChange, {"role": role}).role)
        async with self._changing(user_id) as (session, user):
            if wanted is user.role:
                return user
            now = utc_now()
            if user.role is Role.ADMINISTRATOR:
                await ensure_another(session, user)
                await revocations.end_sessions_of(session, user.id, now, "role_changed")
            before, user.role = user.role, wanted
            user.updated_at = now
            await events.role_changed(session, user, before)
            await revocations.revoke_user(session, user.id, "role_changed")
        log.info("account_role_set", target_user_id=user_id, role=wanted.value)
        return user

    @asynccontextmanager
    async def _changing(self, user_id: str) -> AsyncIterator[tuple[AsyncSession, User]]:
        """A transaction in which nobody else changes this account, nor who is an administrator."""
        wanted = parse_id(user_id, UserNotFound)
        async with self._database.sessions.begin() as session:
            await repository.lock_active_administrators(session)
            user = await repository.lock_user(session, wanted)
            if user is None:
                raise UserNotFound(user_id)
            yield session, user


async def appoint(
    database: Database, passwords: Passwords, *, email: str, display_name: str, password: str | None
) -> Appointment:
    """Makes an administrator: a new account, or one that exists, which is promoted and switched on.

    A new account without a password gets a generated one. An existing one keeps its own unless one is given, and then
    its sessions end.

    Raises:
        InvalidRequest: naming every wrong field.
    """
    generated = "" if password else secrets.token_urlsafe(18)
    values = {"email": email, "display_name": display_name, "password": password or generated}
    registration = await passwords.validated(Registration, values)
    password_hash = await passwords.hash(registration.password)
    now = utc_now()
    account = new_account(
        registration.email, registration.display_name, password_hash, role=Role.ADMINISTRATOR, now=now
    )
    async with database.sessions.begin() as session:
        user = await repository.add_user(session, account)
        if user is not None:
            await events.account_registered(session, user, by_owner=False)
            return Appointment(user, created=True, generated_password=generated)
        found = await repository.user_by_email(session, email_key(registration.email))
        user = await repository.lock_user(session, found.id) if found else None
        if user is None:  # deleted in this very moment
            raise UserNotFound(registration.email)
        if not user.active:
            user.active = True
            await events.account_switched(session, user)
        if user.role is not Role.ADMINISTRATOR:
            before, user.role = user.role, Role.ADMINISTRATOR
            await events.role_changed(session, user, before)
        user.updated_at = now
        if password:
            user.password_hash = password_hash
            user.password_changed_at = now
            await events.password_changed(session, user)
            await revocations.end_sessions_of(session, user.id, now, "password_changed")
        await revocations.revoke_user(session, user.id, "appointed")
    return Appointment(user, created=False, generated_password="")


def _user_key(key: dict[str, Any] | None) -> UUID | None:
    if key is None:
        return None
    try:
        return UUID(key["id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidRequest([Violation("page_token", "must be a next_page_token, unchanged")]) from None
