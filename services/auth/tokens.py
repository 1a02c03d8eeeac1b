"""Tokens: signed access tokens for people and services, opaque refresh tokens."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import jwt

from servicekit.access import Role
from servicekit.identity import ALGORITHM
from servicekit.ids import new_id
from services.auth.keys import SigningKeys

# A prefix by which scanners for leaked secrets can know one.
_REFRESH_PREFIX = "mirage_rt_"


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
        self, *, user_id: UUID, role: Role, session_id: UUID, now: datetime, lifetime: timedelta
    ) -> AccessToken:
        """A person's token, good for one session."""
        return self._signed({"sub": str(user_id), "sid": str(session_id), "role": role.value}, now, lifetime)

    def for_service(self, *, client_id: str, now: datetime, lifetime: timedelta) -> AccessToken:
        """A service's token."""
        return self._signed({"sub": client_id, "role": Role.SERVICE.value}, now, lifetime)

    def _signed(self, subject: dict[str, str], now: datetime, lifetime: timedelta) -> AccessToken:
        key = self._keys.signing_key(now)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            **subject,
            "jti": str(new_id()),
            "iat": now,
            "exp": now + lifetime,
        }
        token = jwt.encode(claims, key.private_key, algorithm=ALGORITHM, headers={"kid": key.key_id})
        return AccessToken(token, int(lifetime.total_seconds()))


def new_refresh_token() -> str:
    """A refresh token: 256 random bits."""
    return _REFRESH_PREFIX + secrets.token_urlsafe(32)


def refresh_token_hash(token: str) -> bytes:
    """What is stored of a refresh token. SHA-256 is enough: there is no guessing 256 random bits."""
    return hashlib.sha256(token.encode()).digest()
