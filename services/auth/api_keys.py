"""API keys: long-lived, limited to some scopes and a time, traded for access tokens.

A token made from a key carries the key's id as its session, so that what ends sessions everywhere ends keys as well.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.database import Database
from servicekit.errors import InvalidRequest, Violation
from servicekit.form_faults import conclude
from servicekit.identity import Caller
from servicekit.ids import new_id, parse_id
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from servicekit.security import SecurityEvent, report
from servicekit.timestamps import utc_now
from servicekit.validation import validated
from services.auth import api_key_repository as keys
from services.auth import events, repository, revocations
from services.auth.api_key_inputs import NewApiKey
from services.auth.errors import (
    AccountInactive,
    ApiKeyNotFound,
    InvalidApiKey,
    ScopeNotHeld,
    SessionEnded,
    TooManyApiKeys,
)
from services.auth.models import ApiKey
from services.auth.scopes import narrowed
from services.auth.sessions import Grant, Origin
from services.auth.throttling import API_KEY, Throttle, address_bucket
from services.auth.tokens import AccessTokens, new_api_key, secret_hash

log = structlog.get_logger(__name__)

DEFAULT_LIFETIME = timedelta(days=90)
_HINT_LENGTH = 4
# For how long keys that are over can still be looked into.
_KEPT_AFTER_END = timedelta(days=30)


@dataclass(frozen=True)
class Limits:
    """How many keys a user may have, and how long one may be good."""

    keys: int
    lifetime: timedelta


@dataclass(frozen=True)
class MadeKey:
    """A new key, and its text, which nobody is told again."""

    row: ApiKey
    text: str = field(repr=False)


class ApiKeys:
    """The use cases around API keys."""

    def __init__(
        self,
        database: Database,
        access_tokens: AccessTokens,
        limits: Limits,
        token_lifetime: timedelta,
        throttle: Throttle,
    ) -> None:
        self._database = database
        self._throttle = throttle
        self._access_tokens = access_tokens
        self._limits = limits
        self._token_lifetime = token_lifetime

    async def create(self, caller: Caller, values: dict[str, Any]) -> MadeKey:
        """Makes a key. One that is made by a key has no scope that this lacks, and ends no later.

        Raises:
            InvalidRequest: naming every wrong field.
            ScopeNotHeld: the caller's own token is limited to other scopes.
            TooManyApiKeys: the caller has as many as may be.
        """
        now = utc_now()
        async with self._database.sessions.begin() as session:
            if await repository.lock_user(session, caller.user_id) is None:  # so that nobody makes two at once
                raise SessionEnded
            latest = await self._latest_expiry(session, caller, now)
            wanted = validated(NewApiKey, {**values, "now": now, "latest": latest})
            conclude()
            if caller.scopes is not None and (beyond := wanted.scopes - caller.scopes):
                raise ScopeNotHeld(beyond, caller.scopes)
            if await keys.count_live_keys(session, caller.user_id, now) >= self._limits.keys:
                raise TooManyApiKeys(self._limits.keys)
            await keys.forget_keys(session, caller.user_id, now - _KEPT_AFTER_END)
            text = new_api_key()
            row = ApiKey(
                id=new_id(),
                user_id=caller.user_id,
                name=wanted.name,
                key_hash=secret_hash(text),
                hint=text[-_HINT_LENGTH:],
                scopes=sorted(wanted.scopes),
                created_at=now,
                expires_at=wanted.expiry(DEFAULT_LIFETIME),
                last_used_address="",
            )
            session.add(row)
            await events.api_key_created(session, row)
        log.info("api_key_created", key_id=str(row.id), scopes=row.scopes, expires_at=row.expires_at.isoformat())
        return MadeKey(row, text)

    async def page(self, caller: Caller, page_size: int, page_token: str) -> tuple[Sequence[ApiKey], str]:
        """The caller's keys, the newest first, and the token of the next page."""
        limit = page_limit(page_size)
        query = {"list": "api_keys", "owner": str(caller.user_id)}
        before_id = _id_in(decode_page_token(page_token, query))
        async with self._database.sessions() as session:
            found = await keys.page_of_keys(session, caller.user_id, before_id=before_id, limit=limit + 1)
        shown = found[:limit]
        return shown, encode_page_token(query, {"id": str(shown[-1].id)}) if len(found) > limit else ""

    async def delete(self, caller: Caller, key_id: str) -> None:
        """Deletes one of the caller's keys; one that was deleted stays so.

        Raises:
            ApiKeyNotFound: the caller has no such key.
        """
        wanted = parse_id(key_id, ApiKeyNotFound)
        async with self._database.sessions.begin() as session:
            row = await keys.lock_key(session, caller.user_id, wanted)
            if row is None:
                raise ApiKeyNotFound(key_id)
            if row.deleted_at is not None:
                return
            row.deleted_at = utc_now()
            await events.api_key_deleted(session, row)
            await revocations.revoke_sessions(session, [row.id], "api_key_deleted")
        log.info("api_key_deleted", key_id=key_id)

    async def exchange(self, text: str, origin: Origin, scopes: Collection[str] | None = None) -> Grant:
        """Trades a key for an access token, limited to the scopes; None is all of the key's.

        Raises:
            RateLimited: too many keys that are none came from this network address.
            InvalidApiKey: it is unknown, has expired or was deleted.
            AccountInactive: its owner is switched off.
            ScopeNotHeld: the key lacks one of the scopes.
        """
        bucket = address_bucket(API_KEY, origin.address)
        await self._throttle.admit(bucket)
        now = utc_now()
        async with self._database.sessions.begin() as session:
            found = await keys.use_key(session, secret_hash(text), now, origin.address)
            if found is None:
                report(SecurityEvent.API_KEY_REFUSED, cause="unknown_expired_or_deleted")
                raise InvalidApiKey
            key, owner = found
            if not owner.active:
                report(SecurityEvent.API_KEY_REFUSED, cause="inactive", subject=str(owner.id), key_id=str(key.id))
                raise AccountInactive
            granted = narrowed(key.scopes, scopes)
        await self._throttle.forgive(bucket)
        token = self._access_tokens.for_session(
            user_id=owner.id,
            role=owner.role,
            session_id=key.id,
            now=now,
            lifetime=min(self._token_lifetime, key.expires_at - now),
            scopes=granted,
        )
        return Grant(token.token, "", token.expires_in_s, granted)

    async def _latest_expiry(self, session: AsyncSession, caller: Caller, now: datetime) -> datetime:
        latest = now + self._limits.lifetime
        asking = await keys.get_key(session, caller.user_id, UUID(caller.session_id))
        return min(latest, asking.expires_at) if asking else latest


def _id_in(key: dict[str, Any] | None) -> UUID | None:
    if key is None:
        return None
    try:
        return UUID(key["id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidRequest([Violation("page_token", "must be a next_page_token, unchanged")]) from None
