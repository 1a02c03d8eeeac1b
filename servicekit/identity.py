"""Who calls: access tokens, and the caller of the RPC that is being served."""

import asyncio
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Protocol
from uuid import UUID

import grpc.aio
import jwt
import structlog

from mirage.auth.v1 import token_pb2, token_pb2_grpc
from servicekit.access import Role
from servicekit.errors import Unauthenticated, Unavailable
from servicekit.tickets import TicketedStream, stream_in, ticket_audience

log = structlog.get_logger(__name__)

ALGORITHM = "ES256"
CLOCK_SKEW_SECONDS = 5
_KEYS_FRESH_SECONDS = 60.0  # a new key is published for at least this long before it signs
_REFETCH_PAUSE_SECONDS = 1.0  # forged key ids must not become a flood of requests


class TokenKind(Enum):
    """What a token is given as."""

    ACCESS = auto()  # good for every call that its role and scopes allow
    TICKET = auto()  # good for one stream


@dataclass(frozen=True)
class Caller:
    """Who makes the call that is being served."""

    subject: str  # a user's id, or a service's name
    role: Role
    session_id: str = ""  # the session or the API key behind the token; empty for a service
    scopes: frozenset[str] | None = None  # what the token is limited to; None: to nothing
    stream: TicketedStream | None = None  # the only call that a ticket is good for
    token: str = field(default="", repr=False)

    @property
    def user_id(self) -> UUID:
        """The person's id.

        Raises:
            Unauthenticated: the caller is a service, so no person.
        """
        if self.role is Role.SERVICE:
            raise Unauthenticated("This call needs a person's access token.")
        return UUID(self.subject)


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def caller() -> Caller:
    """Who makes this call.

    Raises:
        Unauthenticated: nobody is signed in; only possible in RPCs that are open to anyone.
    """
    current = _caller.get()
    if current is None:
        raise Unauthenticated
    return current


def set_caller(current: Caller | None) -> None:
    """Tells the rest of this call who makes it; for the identity interceptor."""
    _caller.set(current)


class Authenticator(Protocol):
    """Turns an access token, or a ticket, into a caller."""

    async def authenticate(self, token: str, kind: TokenKind = TokenKind.ACCESS) -> Caller:
        """Checks a token of this kind; one of another kind is not good.

        Raises:
            Unauthenticated: the token is not good.
        """
        ...


class KeySource(Protocol):
    """Where public signing keys come from."""

    async def key(self, key_id: str) -> Any:
        """The public key of this id, in a form that PyJWT takes; None if there is none."""
        ...


_EXPIRED = {
    TokenKind.ACCESS: "The access token has expired. Renew it with the refresh token.",
    TokenKind.TICKET: "The ticket has expired. POST /auth/stream-ticket gives a new one.",
}


class TokenVerifier:
    """Checks ES256 access tokens against a source of public keys (RFC 7519; RFC 8725 on what to insist on)."""

    def __init__(self, keys: KeySource, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audiences = {TokenKind.ACCESS: audience, TokenKind.TICKET: ticket_audience(audience)}

    async def authenticate(self, token: str, kind: TokenKind = TokenKind.ACCESS) -> Caller:
        """The caller that a token names; a ticket's caller holds its stream.

        Raises:
            Unauthenticated: it is malformed, forged, expired or for somebody else.
            Unavailable: the keys can't be fetched.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise _refused("malformed") from None
        if header.get("alg") != ALGORITHM:
            raise _refused("algorithm")
        key = await self._keys.key(str(header.get("kid", "")))
        if key is None:
            raise _refused("unknown key")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audiences[kind],
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": ["iss", "aud", "sub", "role", "jti", "iat", "exp"]},
            )
            caller = caller_of(claims, token)
            return replace(caller, stream=stream_in(claims)) if kind is TokenKind.TICKET else caller
        except jwt.ExpiredSignatureError:
            raise Unauthenticated(_EXPIRED[kind]) from None
        except (jwt.PyJWTError, ValueError) as error:
            raise _refused(type(error).__name__) from None


def caller_of(claims: Mapping[str, Any], token: str) -> Caller:
    """The caller in verified claims.

    Raises:
        ValueError: the role is unknown, a person's subject is no id, or the scope is no text.
    """
    role = Role(claims["role"])
    subject = str(claims["sub"])
    if role is not Role.SERVICE:
        UUID(subject)
    return Caller(
        subject=subject, role=role, session_id=str(claims.get("sid", "")), scopes=_scopes_of(claims), token=token
    )


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """What the `scope` claim (RFC 8693, section 4.2) limits a token to; None where there is no such claim."""
    scope = claims.get("scope")
    if scope is None:
        return None
    if not isinstance(scope, str):
        raise ValueError("scope must be a text")  # noqa: TRY004 - wrong claims are one kind of error here
    return frozenset(scope.split())


def _refused(why: str) -> Unauthenticated:
    log.warning("token_refused", why=why)
    return Unauthenticated("The access token is not valid. Sign in again.")


class RemoteKeys:
    """Public keys of the auth service, fetched over gRPC and kept for a minute."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = token_pb2_grpc.KeyServiceStub(channel)
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> Any:
        """The public key of this id; None if auth doesn't publish it.

        Raises:
            Unavailable: auth can't be reached and the key isn't known from before.
        """
        if self._age() < _KEYS_FRESH_SECONDS and key_id in self._keys:
            return self._keys[key_id]
        async with self._lock:
            needed = key_id not in self._keys or self._age() >= _KEYS_FRESH_SECONDS
            if needed and self._age() >= _REFETCH_PAUSE_SECONDS:
                await self._fetch(known=key_id in self._keys)
        return self._keys.get(key_id)

    def _age(self) -> float:
        return time.monotonic() - self._fetched_at

    async def _fetch(self, *, known: bool) -> None:
        try:
            answer = await self._stub.GetKeySet(token_pb2.GetKeySetRequest(), timeout=5)
        except grpc.aio.AioRpcError as error:
            log.warning("keys_not_fetched", code=error.code().name)
            if known:  # an old key is better than refusing everybody while auth restarts
                return
            raise Unavailable("auth service") from error
        keys = jwt.PyJWKSet.from_json(answer.data.decode()).keys
        self._keys = {key.key_id: key for key in keys if key.key_id}
        self._fetched_at = time.monotonic()
