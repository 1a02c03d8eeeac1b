"""Who calls: access tokens, and the caller of the RPC that is being served."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import grpc.aio
import jwt
import structlog

from mirage.auth.v1 import token_pb2, token_pb2_grpc
from servicekit.access import Role
from servicekit.errors import TokenRevoked, Unauthenticated, Unavailable
from servicekit.revocations import Revocations
from servicekit.security import SecurityEvent, report
from servicekit.tickets import TicketedStream, stream_in, ticket_audience

log = structlog.get_logger(__name__)

ALGORITHM = "ES256"
CLOCK_SKEW_SECONDS = 5
_KEYS_FRESH_SECONDS = 60.0  # a new key is published for at least this long before it signs
_VERIFIED_TOKENS_KEPT = 10_000
_FAULTS: Mapping[type[Exception], str] = {
    jwt.InvalidSignatureError: "signature",
    jwt.InvalidAudienceError: "audience",
    jwt.InvalidIssuerError: "issuer",
    jwt.ImmatureSignatureError: "not yet valid",
    jwt.MissingRequiredClaimError: "missing claim",
}
_FETCH_SECONDS = 3.0
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
    issued_at: float = 0.0  # when the token was, in seconds since 1970

    @property
    def is_service(self) -> bool:
        """Whether it is another service, and so no person."""
        return self.role is Role.SERVICE

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


def current_caller() -> Caller | None:
    """Who makes this call; None where nobody is signed in, or no call is being served."""
    return _caller.get()


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

    def until_revoked(self, current: Caller, revoked: Callable[[], None], /) -> AbstractContextManager[None]:
        """Calls `revoked` if the caller's token is revoked while the block runs."""
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


class _Verified(NamedTuple):
    """A token that was found good."""

    caller: Caller
    key_id: str
    expires_at: float


class TokenVerifier:
    """Checks ES256 access tokens against a source of public keys (RFC 7519; RFC 8725 on what to insist on).

    What was found good is kept by the token's hash, so that a token's signature is checked once and not at every call.
    That it hasn't expired, that its key is still published and that it isn't revoked is checked at every call.
    """

    def __init__(self, keys: KeySource, *, issuer: str, audience: str, revocations: Revocations | None = None) -> None:
        """Without `revocations` a token is good until it expires: for who looks at sessions and accounts itself."""
        self._keys = keys
        self._issuer = issuer
        self._audiences = {TokenKind.ACCESS: audience, TokenKind.TICKET: ticket_audience(audience)}
        self._revocations = revocations
        self._verified: dict[tuple[TokenKind, bytes], _Verified] = {}

    async def authenticate(self, token: str, kind: TokenKind = TokenKind.ACCESS) -> Caller:
        """The caller that a token names; a ticket's caller holds its stream.

        Raises:
            Unauthenticated: it is malformed, forged, expired or for somebody else.
            TokenRevoked: its session or key is over, or its account has changed.
            Unavailable: the keys, or at the start the revocations, can't be fetched.
        """
        digest = kind, hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._verified.get(digest)
        if verified is None:
            verified = await self._verify(token, kind)
            if len(self._verified) >= _VERIFIED_TOKENS_KEPT:
                del self._verified[next(iter(self._verified))]  # the oldest
            self._verified[digest] = verified
        elif verified.expires_at + CLOCK_SKEW_SECONDS <= time.time():
            del self._verified[digest]
            raise _expired(kind)
        elif await self._keys.key(verified.key_id) is None:
            del self._verified[digest]
            raise _refused("unknown key")
        await self._refuse_revoked(verified.caller)
        return verified.caller

    def until_revoked(self, current: Caller, revoked: Callable[[], None], /) -> AbstractContextManager[None]:
        """Calls `revoked` if the caller's token is revoked while the block runs."""
        if self._revocations is None or current.role is Role.SERVICE:
            return nullcontext()
        return self._revocations.watching(current, revoked)

    async def _refuse_revoked(self, current: Caller) -> None:
        if self._revocations is None or current.role is Role.SERVICE:
            return
        await self._revocations.known()
        if self._revocations.refuses(current):
            report(SecurityEvent.TOKEN_REVOKED, subject=current.subject, session_id=current.session_id)
            raise TokenRevoked

    async def _verify(self, token: str, kind: TokenKind) -> _Verified:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise _refused("malformed") from None
        if header.get("alg") != ALGORITHM:
            raise _refused("algorithm")
        key_id = str(header.get("kid", ""))
        key = await self._keys.key(key_id)
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
            if kind is TokenKind.TICKET:
                caller = replace(caller, stream=stream_in(claims))
            return _Verified(caller, key_id, float(claims["exp"]))
        except jwt.ExpiredSignatureError:
            raise _expired(kind) from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise _refused(_FAULTS.get(type(error), type(error).__name__)) from None


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
        subject=subject,
        role=role,
        session_id=str(claims.get("sid", "")),
        scopes=_scopes_of(claims),
        token=token,
        issued_at=float(claims["iat"]),
    )


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """What the `scope` claim (RFC 8693, section 4.2) limits a token to; None where there is no such claim."""
    scope = claims.get("scope")
    if scope is None:
        return None
    if not isinstance(scope, str):
        raise ValueError("scope must be a text")  # noqa: TRY004 - wrong claims are one kind of error here
    return frozenset(scope.split())


def _expired(kind: TokenKind) -> Unauthenticated:
    return Unauthenticated(_EXPIRED[kind])


def _refused(cause: str) -> Unauthenticated:
    report(SecurityEvent.TOKEN_FORGED, cause=cause)
    return Unauthenticated("The access token is not valid. Sign in again.")


class RemoteKeys:
    """Public keys of the auth service, fetched over gRPC and kept for a minute."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = token_pb2_grpc.KeyServiceStub(channel)
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")
        self._failed_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> Any:
        """The public key of this id; None if auth doesn't publish it.

        Raises:
            Unavailable: auth can't be reached and the key isn't known from before.
        """
        if self._age() < _KEYS_FRESH_SECONDS and key_id in self._keys:
            return self._keys[key_id]
        async with self._lock:
            if key_id not in self._keys and time.monotonic() - self._failed_at < _REFETCH_PAUSE_SECONDS:
                raise Unavailable("auth service")  # who waited for the same need not wait once more
            needed = key_id not in self._keys or self._age() >= _KEYS_FRESH_SECONDS
            if needed and self._age() >= _REFETCH_PAUSE_SECONDS:
                await self._fetch(known=key_id in self._keys)
        return self._keys.get(key_id)

    def _age(self) -> float:
        return time.monotonic() - self._fetched_at

    async def _fetch(self, *, known: bool) -> None:
        try:
            # Without a key nobody is let in, so auth gets the moment that a channel takes to find it again.
            answer = await self._stub.GetKeySet(
                token_pb2.GetKeySetRequest(), timeout=_FETCH_SECONDS, wait_for_ready=not known
            )
        except grpc.aio.AioRpcError as error:
            log.warning("keys_not_fetched", code=error.code().name)
            self._failed_at = time.monotonic()
            if known:  # an old key is better than refusing everybody while auth restarts
                return
            raise Unavailable("auth service") from error
        keys = jwt.PyJWKSet.from_json(answer.data.decode()).keys
        self._keys = {key.key_id: key for key in keys if key.key_id}
        self._fetched_at = time.monotonic()
