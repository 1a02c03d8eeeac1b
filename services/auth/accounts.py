"""Somebody's own account: signing up, looking at it and changing it."""

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError

from servicekit.access import Role
from servicekit.database import Database
from servicekit.errors import InvalidRequest, Violation
from servicekit.form_faults import conclude
from servicekit.identity import Caller
from servicekit.ids import new_id
from servicekit.origin import network_of
from servicekit.security import SecurityEvent, report
from servicekit.timestamps import utc_now
from servicekit.validation import validated
from services.auth import events, repository, revocations
from services.auth.deletions import Deletions
from services.auth.errors import EmailTaken, SessionEnded, WrongPassword
from services.auth.inputs import AccountChange, AccountEnd, PasswordChange, ProfileChange, Registration, email_key
from services.auth.last_administrator import ensure_another
from services.auth.models import Profile, Requester, User
from services.auth.passwords import Passwords
from services.auth.throttling import CONFIRMATION, REGISTRATION, Throttle, address_bucket

log = structlog.get_logger(__name__)


class Accounts:
    """The use cases around one's own account."""

    def __init__(self, database: Database, passwords: Passwords, throttle: Throttle, deletions: Deletions) -> None:
        self._database = database
        self._deletions = deletions
        self._passwords = passwords
        self._throttle = throttle

    async def register(self, values: dict[str, Any], address: str) -> User:
        """Makes an account, for somebody at a network address.

        That an account exists is told: whoever registers could tell by signing in afterwards. The work is the same.

        Raises:
            InvalidRequest: naming every wrong field.
            RateLimited: too many registrations from there.
            EmailTaken: another account has the address.
        """
        registration = await self._passwords.validated(Registration, values)
        conclude()
        await self._throttle.admit(address_bucket(REGISTRATION, address))
        password_hash = await self._passwords.hash(registration.password)
        account = new_account(
            registration.email, registration.display_name, password_hash, role=Role.USER, now=utc_now()
        )
        async with self._database.sessions.begin() as session:
            user = await repository.add_user(session, account)
            if user is not None:
                await events.account_registered(session, user)
        if user is None:
            report(SecurityEvent.ADDRESS_TAKEN)
            raise EmailTaken
        log.info("account_registered", user_id=str(user.id))
        return user

    async def me(self, caller: Caller) -> User:
        """The caller's account."""
        async with self._database.sessions() as session:
            return _still_there(await repository.get_user(session, caller.user_id))

    async def update_me(self, caller: Caller, values: dict[str, Any], address: str) -> User:
        """Changes the caller's account; what is absent stays. A new e-mail address needs the password.

        Raises:
            InvalidRequest: naming every wrong field.
            RateLimited: too many wrong passwords from this network address.
            WrongPassword: the password is not the one in force.
            EmailTaken: another account has the new address.
        """
        change = validated(AccountChange, values)
        conclude()
        before = await self.me(caller)
        moves = change.email is not None and change.email != before.email
        if moves:
            if change.password is None:
                raise InvalidRequest([Violation("password", "is needed to change the address")])
            await self._confirm(before, change.password, address, field="password")
        async with self._database.sessions.begin() as session:
            user = _still_there(await repository.lock_user(session, caller.user_id))
            if change.display_name is not None:
                user.display_name = change.display_name
            if moves and change.email is not None:
                if user.password_changed_at != before.password_changed_at:
                    raise WrongPassword("password")
                user.email = change.email
                user.email_key = email_key(change.email)
            changed = [name for name in ("email", "display_name") if getattr(user, name) != getattr(before, name)]
            if session.is_modified(user):
                user.updated_at = utc_now()
            try:
                await session.flush()
            except IntegrityError:  # the address is the only thing here that must be unique
                raise EmailTaken from None
            if changed:
                await events.account_updated(session, user, changed)
        return user

    async def change_password(self, caller: Caller, values: dict[str, Any], address: str) -> int:
        """Sets a new password and ends the caller's other sessions; returns how many were ended.

        Raises:
            InvalidRequest: naming every wrong field.
            RateLimited: too many wrong passwords from this network address.
            WrongPassword: the old password is not the one in force.
        """
        before = await self.me(caller)
        change = await self._passwords.validated(
            PasswordChange, {**values, "email": before.email, "display_name": before.display_name}
        )
        conclude()
        await self._confirm(before, change.old_password, address, field="old_password")
        password_hash = await self._passwords.hash(change.new_password)
        async with self._database.sessions.begin() as session:
            user = _still_there(await repository.lock_user(session, caller.user_id))
            if user.password_changed_at != before.password_changed_at:  # somebody else was faster
                raise WrongPassword("old_password")
            now = utc_now()
            user.password_hash = password_hash
            user.password_changed_at = now
            user.updated_at = now
            await events.password_changed(session, user)
            ended = await revocations.end_sessions(
                session, user.id, now, "password_changed", keep=UUID(caller.session_id)
            )
        log.info("password_changed", ended_sessions=ended)
        return ended

    async def delete(self, caller: Caller, values: dict[str, Any], address: str) -> UUID:
        """Ends the caller's account, and has all that is theirs deleted everywhere; returns the deletion's id.

        Raises:
            InvalidRequest: the password is missing.
            RateLimited: too many wrong passwords from this network address.
            WrongPassword: the password is not the one in force.
            LastAdministrator: nobody else could administer the platform.
        """
        wanted = validated(AccountEnd, values)
        before = await self.me(caller)
        await self._confirm(before, wanted.password, address, field="password")
        async with self._database.sessions.begin() as session:
            await repository.lock_active_administrators(session)
            user = _still_there(await repository.lock_user(session, caller.user_id))
            if user.password_changed_at != before.password_changed_at:
                raise WrongPassword("password")
            await ensure_another(session, user)
            deletion_id = await self._deletions.begin(session, user, Requester.OWNER)
        self._deletions.begun.set()
        log.info("account_deleted", deletion_id=str(deletion_id))
        return deletion_id

    async def profile(self, caller: Caller) -> Profile:
        """The caller's details; empty ones before the first change."""
        async with self._database.sessions() as session:
            found = await repository.get_profile(session, caller.user_id)
        return found or _empty_profile(caller.user_id)

    async def update_profile(self, caller: Caller, values: dict[str, Any]) -> Profile:
        """Changes the caller's details; what is absent stays.

        Raises:
            InvalidRequest: naming every wrong field.
        """
        change = validated(ProfileChange, values)
        conclude()
        async with self._database.sessions.begin() as session:
            # The account's lock, since before the first change there is no row of the profile to lock.
            user = _still_there(await repository.lock_user(session, caller.user_id))
            profile = await repository.get_profile(session, caller.user_id)
            if profile is None:
                profile = _empty_profile(caller.user_id)
                session.add(profile)
            for name, value in change.model_dump(exclude_none=True).items():
                setattr(profile, name, value)
            profile.updated_at = utc_now()
            if values:
                await events.account_updated(session, user, change.model_dump(exclude_none=True))
        return profile

    async def _confirm(self, user: User, password: str, address: str, *, field: str) -> None:
        """Checks the password that somebody repeats, who may be another person at an open session."""
        bucket = CONFIRMATION.of(str(user.id), network_of(address))
        await self._throttle.admit(bucket)
        if not (await self._passwords.verify(password, user.password_hash)).correct:
            report(SecurityEvent.PASSWORD_CONFIRMATION_FAILED, subject=str(user.id), field=field)
            raise WrongPassword(field)
        await self._throttle.forgive(bucket)


def new_account(email: str, display_name: str, password_hash: str, *, role: Role, now: datetime) -> dict[str, Any]:
    """The row of a new, active account."""
    return {
        "id": new_id(),
        "email": email,
        "email_key": email_key(email),
        "display_name": display_name,
        "password_hash": password_hash,
        "password_changed_at": now,
        "role": role,
        "active": True,
        "created_at": now,
        "updated_at": now,
    }


def _empty_profile(user_id: UUID) -> Profile:
    return Profile(user_id=user_id, organisation="", locale="", preferences={}, updated_at=None)


def _still_there(user: User | None) -> User:
    """The account behind a token that was good a moment ago."""
    if user is None:
        raise SessionEnded
    return user
