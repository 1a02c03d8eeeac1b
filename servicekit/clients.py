"""Calls to other services, in the calling service's own name."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any, Protocol

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mirage.auth.v1 import token_pb2, token_pb2_grpc
from servicekit import logs, trace_context, tracing
from servicekit.errors import ServiceError, Unavailable, Violation
from servicekit.settings import PeerSettings
from servicekit.tls import InternalTls

_RENEW_BEFORE_SECONDS = 60.0
_CALL_TIMEOUT_SECONDS = 10.0
_OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    # A peer that is back is found within a second, however long it was away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class PeerError(ServiceError):
    """An error of another service, passed on as it is: code, reason, message, metadata and violations."""

    def __init__(self, code: grpc.StatusCode, info: error_details_pb2.ErrorInfo, message: str) -> None:
        super().__init__(message, **dict(info.metadata))
        self.code = code
        self.reason = info.reason
        self._violations: tuple[Violation, ...] = ()

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The wrong fields, if fields are what is wrong."""
        return self._violations

    def with_violations(self, bad_request: error_details_pb2.BadRequest) -> None:
        """Takes over the wrong fields that the other service named."""
        self._violations = tuple(
            Violation(violation.field, violation.description) for violation in bad_request.field_violations
        )


def peer_error(error: grpc.aio.AioRpcError, peer: str) -> Exception:
    """What to raise when a call to another service failed: its own error if it gave one, else that it is unavailable.

    Where the other service can't reach a part that it needs, such as its database, that is Unavailable too: whoever
    waits for a service waits for what it hangs on. An error that tells the caller nothing (an unknown one inside the
    other service) is returned as it came.
    """
    status = rpc_status.from_call(error)
    if status is not None:
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(bad_request)
        if info.reason == Unavailable.reason:
            return Unavailable(info.metadata.get("part") or peer)
        if info.reason and error.code() is not grpc.StatusCode.INTERNAL:
            translated = PeerError(error.code(), info, status.message)
            translated.with_violations(bad_request)
            return translated
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unavailable(peer)
    return error


class Identity(Protocol):
    """Whose name a service calls others in: its own."""

    async def token(self) -> str:
        """An access token with the role `service`.

        Raises:
            Unavailable: there is none, and none can be had just now.
        """
        ...

    def discard(self, token: str) -> None:
        """Drops a token that was refused, so that the next one is new."""
        ...


class ServiceIdentity:
    """A service's own access token: fetched from auth with its client id and secret, kept, renewed in time."""

    def __init__(self, auth_channel: grpc.aio.Channel, settings: PeerSettings) -> None:
        self._stub = token_pb2_grpc.ServiceIdentityServiceStub(auth_channel)
        self._settings = settings
        self._token = ""
        self._renew_at = float("-inf")
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """An access token with the role `service`.

        Raises:
            Unavailable: auth can't be reached.
        """
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                await self._renew()
        return self._token

    def discard(self, token: str) -> None:
        """Drops a token that was refused, so that the next one is new."""
        if token == self._token:
            self._renew_at = float("-inf")

    async def _renew(self) -> None:
        request = token_pb2.IssueServiceTokenRequest(
            client_id=self._settings.service_client_id,
            client_secret=self._settings.service_client_secret.get_secret_value(),
        )
        try:
            answer = await self._stub.IssueServiceToken(request, timeout=_CALL_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "auth service") from error
        self._token = answer.access_token
        self._renew_at = time.monotonic() + max(answer.expires_in - _RENEW_BEFORE_SECONDS, 1.0)


class _OwnName(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds the service's token, and the request and trace of the call that is being served."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def intercept_unary_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        with tracing.calling(_text(client_call_details.method)) as span:
            metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()))
            metadata.add("authorization", f"Bearer {await self._identity.token()}")
            for name, value in _origin():
                metadata.add(name, value)
            details = grpc.aio.ClientCallDetails(
                method=client_call_details.method,
                timeout=client_call_details.timeout or _CALL_TIMEOUT_SECONDS,
                metadata=metadata,
                credentials=client_call_details.credentials,
                wait_for_ready=client_call_details.wait_for_ready,
            )
            call = await continuation(details, request)
            if span.recorded:
                span.answered((await _code_of(call)).name)
            return call


async def _code_of(call: grpc.aio.UnaryUnaryCall[Any, Any]) -> grpc.StatusCode:
    """How a call ends; it is called off where nobody waits for it any more."""
    try:
        return await call.code()
    except asyncio.CancelledError:
        call.cancel()
        raise


def _text(method: bytes | str) -> str:
    return method.decode() if isinstance(method, bytes) else method


def _origin() -> Iterator[tuple[str, str]]:
    """What says on whose behalf a call is made: the request that is being served, and the place in its trace."""
    request_id, traceparent = logs.request_id(), trace_context.traceparent()
    if request_id:
        yield "x-request-id", request_id
    if traceparent:
        yield trace_context.HEADER, traceparent


def open_channel(address: str, tls: InternalTls | None) -> grpc.aio.Channel:
    """A channel to a service at `host:port`, in nobody's name; by mutual TLS where that is set."""
    return _channel(address, tls, [])


def peer_channel(address: str, tls: InternalTls | None, identity: Identity) -> grpc.aio.Channel:
    """A channel to another service on which unary calls are made in this service's own name."""
    return _channel(address, tls, [_OwnName(identity)])


async def own_stream(identity: Identity, method: Any, request: Any) -> AsyncGenerator[Any, None]:
    """What another service streams to this one, asked for in this service's own name; closing this ends the call.

    `method` is a stub's. Raises what gRPC raises (see `peer_error`); a token that was refused isn't used again.
    """
    token = await identity.token()
    with trace_context.unrecorded():  # to listen is not to work
        origin = tuple(_origin())
    call = method(request, metadata=(("authorization", f"Bearer {token}"), *origin))
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            identity.discard(token)
        raise
    finally:
        call.cancel()


def _channel(
    address: str, tls: InternalTls | None, interceptors: Sequence[grpc.aio.ClientInterceptor]
) -> grpc.aio.Channel:
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS, interceptors=interceptors)
    return grpc.aio.secure_channel(address, tls.channel_credentials(), options=_OPTIONS, interceptors=interceptors)
