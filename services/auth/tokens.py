"""Tokens: signed access tokens for people and services, opaque refresh tokens."""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from servicekit.access import Role
from servicekit.identity import ALGORITHM, Caller
from servicekit.ids import new_id
from servicekit.tickets import CLAIM, TicketedStream, ticket_audience
from services.auth.keys import SigningKeys
from services.auth.scopes import scope_text

# A prefix by which scanners for leaked secrets can know one.
_REFRESH_PREFIX = "mirage_rt_"
_API_KEY_PREFIX = "mirage_ak_"


@dataclass(frozen=True)
class AccessToken:
    """A signed access token (RFC 7519) and how long it is good."""

    token: str = field(repr=False)
    expires_in_s: int


class AccessTokens:
    """Signs access tokens."""

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def for_session(
        self,
        *,
        user_id: UUID,
        role: Role,
        session_id: UUID,
        now: datetime,
        lifetime: timedelta,
        scopes: Collection[str] | None = None,
    ) -> AccessToken:
        """A person's token, good as long as the session, or the API key with this id, and limited to the scopes."""
        subject = {"sub": str(user_id), "sid": str(session_id), "role": role.value, **_scope_claim(scopes)}
        return self._signed(subject, now, lifetime)

    def for_stream(self, *, caller: Caller, stream: TicketedStream, now: datetime, lifetime: timedelta) -> AccessToken:
        """A ticket: whoever holds it may open this stream as the caller would, and nothing else."""
        subject = {
            "aud": ticket_audience(self._audience),
            "sub": caller.subject,
            "sid": caller.session_id,
            "role": caller.role.value,
            **_scope_claim(caller.scopes),
            CLAIM: stream.claim,
        }
        return self._signed(subject, now, lifetime)

    def for_service(self, *, client_id: str, now: datetime, lifetime: timedelta) -> AccessToken:
        """A service's token."""
        return self._signed({"sub": client_id, "role": Role.SERVICE.value}, now, lifetime)

    def _signed(self, subject: Mapping[str, Any], now: datetime, lifetime: timedelta) -> AccessToken:
        key = self._keys.signing_key(now)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            **subject,
            "jti": str(new_id()),
            # To the microsecond, as a NumericDate may be: a token issued right after a revocation is good.
            "iat": now.timestamp(),
            "exp": now + lifetime,
        }
        token = jwt.encode(claims, key.private_key, algorithm=ALGORITHM, headers={"kid": key.key_id})
        return AccessToken(token, int(lifetime.total_seconds()))


def _scope_claim(scopes: Collection[str] | None) -> dict[str, str]:
    """The claim of RFC 8693, section 4.2; none for a token without limits."""
    return {} if scopes is None else {"scope": scope_text(scopes)}


def new_api_key() -> str:
    """An API key: 256 random bits."""
    return _API_KEY_PREFIX + secrets.token_urlsafe(32)


def new_refresh_token() -> str:
    """A refresh token: 256 random bits."""
    return _REFRESH_PREFIX + secrets.token_urlsafe(32)


def secret_hash(token: str) -> bytes:
    """What is stored of a refresh token or an API key. SHA-256 is enough: there is no guessing 256 random bits."""
    return hashlib.sha256(token.encode()).digest()
