"""Signing in and out, renewing, and the devices on which somebody is signed in.

A session is a family of refresh tokens: each renewal uses one up and makes the next. One that is used a second time
is in two hands, so the family ends.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.database import Database
from servicekit.errors import InvalidRequest, Violation
from servicekit.identity import Caller
from servicekit.ids import new_id, parse_id
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from servicekit.security import SecurityEvent, report
from servicekit.timestamps import utc_now
from servicekit.validation import validated
from services.auth import events, repository, revocations
from services.auth.errors import (
    AccountInactive,
    InvalidCredentials,
    InvalidRefreshToken,
    RefreshTokenReused,
    SessionNotFound,
)
from services.auth.inputs import Credentials, email_key
from services.auth.models import RefreshToken, Session, User
from services.auth.passwords import Passwords
from services.auth.repository import SessionKey
from services.auth.scopes import narrowed
from services.auth.throttling import REFRESH, Throttle, address_bucket, sign_in_buckets
from services.auth.tokens import AccessTokens, new_refresh_token, secret_hash

log = structlog.get_logger(__name__)

# For how long sessions that are over can still be looked into.
_KEPT_AFTER_END = timedelta(days=30)


@dataclass(frozen=True)
class Origin:
    """The device a call comes from."""

    user_agent: str
    address: str


@dataclass(frozen=True)
class Grant:
    """A pair of tokens."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int
    scopes: Collection[str] | None = None  # what they are limited to; None: to nothing


@dataclass(frozen=True)
class Lifetimes:
    """How long tokens are good."""

    access: timedelta
    refresh: timedelta


class Sessions:
    """The use cases around sessions."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        access_tokens: AccessTokens,
        lifetimes: Lifetimes,
        throttle: Throttle,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._access_tokens = access_tokens
        self._lifetimes = lifetimes
        self._throttle = throttle

    async def login(self, values: dict[str, Any], origin: Origin, scopes: Collection[str] | None = None) -> Grant:
        """Opens a session, limited to the scopes; None limits it to nothing.

        The password is checked between two transactions, so that no database connection waits for a hash. Until then
        the work is the same whether or not there is such an account.

        Raises:
            InvalidRequest: a field is empty or absurdly long.
            RateLimited: too many passwords were tried for this account from this network address.
            InvalidCredentials: no account has this address and this password.
            AccountInactive: the password is right, but the account is switched off.
        """
        credentials = validated(Credentials, values)
        buckets = sign_in_buckets(email_key(credentials.email), origin.address)
        await self._throttle.admit(*buckets)
        async with self._database.sessions() as session:
            found = await repository.user_by_email(session, email_key(credentials.email))
        verdict = await self._passwords.verify(credentials.password, found.password_hash if found else None)
        if found is None or not verdict.correct:
            _report_failed_sign_in(found.id if found else None, "wrong_password" if found else "unknown_account")
            raise InvalidCredentials
        async with self._database.sessions.begin() as session:
            user = await repository.lock_user(session, found.id)
            if user is None or user.password_changed_at != found.password_changed_at:
                _report_failed_sign_in(found.id, "changed_meanwhile")
                raise InvalidCredentials
            if not user.active:
                _report_failed_sign_in(found.id, "inactive")
                raise AccountInactive
            now = utc_now()
            is_first, user.last_login_at = user.last_login_at is None, now
            seen = await repository.has_session_of_device(session, user.id, origin.user_agent)
            if verdict.upgraded_hash and user.password_hash == found.password_hash:
                user.password_hash = verdict.upgraded_hash
            await repository.forget_sessions(session, user.id, now - _KEPT_AFTER_END)
            family = await self._open(session, user, origin, now, scopes)
            await events.session_started(session, family, user.role, is_first=is_first, seen=seen)
            grant = self._grant(session, user, family, now, scopes)
        await self._throttle.forgive(*buckets)
        log.info("login_succeeded", user_id=str(user.id), client_address=origin.address)
        return grant

    async def refresh(self, refresh_token: str, origin: Origin, scopes: Collection[str] | None = None) -> Grant:
        """Trades a refresh token for a new pair; its access token is limited to the scopes, or as the session is.

        Raises:
            InvalidRefreshToken: it is unknown, too old, or its session is over.
            RefreshTokenReused: it was used before; its session is ended.
            ScopeNotHeld: the session is limited to other scopes; the refresh token stays good.
            RateLimited: too many tokens that are none came from this network address.
        """
        bucket = address_bucket(REFRESH, origin.address)
        await self._throttle.admit(bucket)
        async with self._database.sessions.begin() as session:
            grant = await self._rotate(session, refresh_token, origin, scopes)
        if grant is None:  # only now: raising inside the transaction would undo the end of the session
            raise RefreshTokenReused
        await self._throttle.forgive(bucket)
        return grant

    async def logout(self, caller: Caller, *, everywhere: bool) -> int:
        """Ends the caller's session, or all of theirs; returns how many were ended."""
        now = utc_now()
        async with self._database.sessions.begin() as session:
            if everywhere:
                return await revocations.end_sessions(session, caller.user_id, now, "logout_everywhere")
            current = await repository.lock_session(session, caller.user_id, UUID(caller.session_id))
            return int(current is not None and await _end(session, current, now, "logout"))

    async def end(self, caller: Caller, session_id: str) -> None:
        """Ends one of the caller's sessions; one that is over stays as it is.

        Raises:
            SessionNotFound: the caller has no such session.
        """
        wanted = parse_id(session_id, SessionNotFound)
        async with self._database.sessions.begin() as session:
            found = await repository.lock_session(session, caller.user_id, wanted)
            if found is None:
                raise SessionNotFound(session_id)
            await _end(session, found, utc_now(), "ended_by_owner")

    async def page(self, caller: Caller, page_size: int, page_token: str) -> tuple[Sequence[Session], str]:
        """The caller's live sessions, the latest used first, and the token of the next page."""
        limit = page_limit(page_size)
        query = {"list": "sessions", "owner": str(caller.user_id)}
        before = _session_key(decode_page_token(page_token, query))
        async with self._database.sessions() as session:
            found = await repository.page_of_sessions(
                session, caller.user_id, utc_now(), before=before, limit=limit + 1
            )
        shown = found[:limit]
        if len(found) <= limit:
            return shown, ""
        last = shown[-1]
        return shown, encode_page_token(query, {"used": last.last_used_at.isoformat(), "id": str(last.id)})

    async def _rotate(
        self, session: AsyncSession, refresh_token: str, origin: Origin, scopes: Collection[str] | None
    ) -> Grant | None:
        """Uses a refresh token up; None if it was used before."""
        now = utc_now()
        found = await repository.lock_session_of_token(session, secret_hash(refresh_token))
        if found is None:
            raise InvalidRefreshToken
        family, token, user = found
        if family.ended_at is not None or token.expires_at <= now or not user.active:
            raise InvalidRefreshToken
        if token.used_at is not None:
            await _end(session, family, now, "refresh_token_reused")
            await events.refresh_token_reused(session, family, origin.address)
            report(SecurityEvent.REFRESH_TOKEN_REUSED, subject=str(user.id), session_id=str(family.id))
            return None
        granted = narrowed(family.scopes, scopes)
        token.used_at = now
        family.last_used_at = now
        family.address = origin.address
        family.expires_at = now + self._lifetimes.refresh
        await repository.forget_expired_tokens(session, family.id, now)
        return self._grant(session, user, family, now, granted)

    async def _open(
        self, session: AsyncSession, user: User, origin: Origin, now: datetime, scopes: Collection[str] | None
    ) -> Session:
        family = Session(
            id=new_id(),
            user_id=user.id,
            user_agent=origin.user_agent,
            address=origin.address,
            created_at=now,
            last_used_at=now,
            expires_at=now + self._lifetimes.refresh,
            scopes=None if scopes is None else sorted(scopes),
        )
        session.add(family)
        await session.flush()  # before the token that refers to it
        return family

    def _grant(
        self, session: AsyncSession, user: User, family: Session, now: datetime, scopes: Collection[str] | None
    ) -> Grant:
        refresh_token = new_refresh_token()
        session.add(
            RefreshToken(
                token_hash=secret_hash(refresh_token),
                session_id=family.id,
                created_at=now,
                expires_at=family.expires_at,
            )
        )
        access = self._access_tokens.for_session(
            user_id=user.id,
            role=user.role,
            session_id=family.id,
            now=now,
            lifetime=self._lifetimes.access,
            scopes=scopes,
        )
        return Grant(access.token, refresh_token, access.expires_in_s, scopes)


async def _end(session: AsyncSession, family: Session, now: datetime, cause: str) -> bool:
    """Ends a session with its tokens; returns whether it was live until now."""
    if family.ended_at is not None:
        return False
    family.ended_at = now
    family.end_cause = cause
    ended = [repository.EndedSession(family.id, family.created_at)]
    await events.sessions_ended(session, family.user_id, ended, now, cause)
    await revocations.revoke_sessions(session, [family.id], cause)
    return True


def _report_failed_sign_in(user_id: UUID | None, cause: str) -> None:
    # Neither the address that was tried nor the password: people type the one into the field of the other.
    report(SecurityEvent.SIGN_IN_FAILED, cause=cause, subject=str(user_id) if user_id else None)


def _session_key(key: dict[str, Any] | None) -> SessionKey | None:
    if key is None:
        return None
    try:
        return SessionKey(datetime.fromisoformat(key["used"]).astimezone(UTC), UUID(key["id"]))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise InvalidRequest([Violation("page_token", "must be a next_page_token, unchanged")]) from None
