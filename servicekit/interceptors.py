"""What surrounds every RPC, unary or streaming: request ids and logs, errors, identity and permission."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any, NamedTuple, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from servicekit import form_faults, logs, tickets, trace_context, tracing
from servicekit.access import AccessRules
from servicekit.errors import (
    TEMPORARY,
    InsufficientScope,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    ServiceError,
    StorageFull,
    TokenRevoked,
    Unauthenticated,
    Unavailable,
    Violation,
    is_disk_full,
)
from servicekit.identity import Authenticator, Caller, TokenKind, set_caller
from servicekit.ids import new_id
from servicekit.origin import address_of, set_client_address
from servicekit.patience import is_database_gone
from servicekit.request_counts import note_caller
from servicekit.security import Hearer, SecurityEvent, report, set_hearer
from servicekit.trace_context import TraceContext

log = structlog.get_logger(__name__)

DOMAIN = "mirage"
# The gateway answers 503 where the details are larger than what fits into HTTP/2 headers.
_MAX_DETAIL_BYTES = 2400
_MAX_MESSAGE_BYTES = 1000
_MAX_VIOLATION_BYTES = 400  # of its field, and of its description

_UNREADABLE = "must be the RPC's message, its texts UTF-8, with nothing nested deeper than a hundred levels"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"  # generic in its type stubs only
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Call(NamedTuple):
    """The RPC that is being served."""

    method: str  # /package.Service/Method
    metadata: dict[str, str]
    request: Callable[[], Any]  # gives the message, or an iterator over messages; raises InvalidRequest
    streams: bool = False  # whether either side is a stream, which may last


class RequestLog:
    """Gives every log line of a call its request and its trace, logs the call when it ends, and records its span."""

    @asynccontextmanager
    async def around(self, call: Call, context: Context, /) -> AsyncIterator[None]:
        """Binds the ids that the gateway made, or new ones."""
        request_id = call.metadata.get("x-request-id") or str(new_id())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        set_client_address(address_of(call.metadata, context.peer()))
        started = time.perf_counter()
        place = TraceContext.parse(call.metadata.get(trace_context.HEADER)) or TraceContext.new()
        with tracing.serving(call.method, place, request_id) as span:
            try:
                yield
            finally:
                code = _code_name(context)
                span.answered(code)
                log.debug(
                    "call_ended",
                    method=call.method,
                    code=code,
                    duration_ms=round((time.perf_counter() - started) * 1000, 2),
                )


def _code_name(context: Context) -> str:
    code: Any = context.code()  # a number, whatever its type says
    return str(getattr(code, "name", None) or code_pb2.Code.Name(code or 0))


class ErrorStatus:
    """The only place that aborts: turns errors into a status with details; unknown ones into a fixed text and a log."""

    @asynccontextmanager
    async def around(self, call: Call, context: Context, /) -> AsyncIterator[None]:
        """Catches whatever the RPC raises."""
        try:
            yield
        except grpc.aio.AbortError:  # is an Exception; somebody has aborted already
            raise
        except ServiceError as error:
            await _abort(context, error)
        except Exception as error:  # the last line of defence: nothing of it may reach the caller
            if is_database_gone(error):
                log.warning("database_unavailable", method=call.method, error=type(error).__name__)
                await _abort(context, Unavailable("database"))
            if is_disk_full(error):
                log.exception("disk_full", method=call.method)
                await _abort(context, StorageFull(TEMPORARY))
            log.exception("unexpected_error", method=call.method)
            await _abort(context, ServiceError("Something went wrong on our side. It has been logged."))


class Identification:
    """Finds out who calls, and refuses who may not."""

    def __init__(self, authenticator: Authenticator, rules: AccessRules) -> None:
        self._authenticator = authenticator
        self._rules = rules

    @asynccontextmanager
    async def around(self, call: Call, _context: Context, /) -> AsyncIterator[None]:
        """Checks the token or the ticket, then the role, then the scope; ends a stream, an upload too, when revoked.

        Raises:
            Unauthenticated: the RPC needs a token, and there is none or a bad one, or a ticket for another stream.
            TokenRevoked: the token was revoked, be it while the stream ran.
            PermissionDenied: the caller's role is not among those that the contract names.
            InsufficientScope: the caller's token is limited to scopes that the contract doesn't name.
        """
        if self._rules.is_open(call.method):
            # Whoever signs in may still carry an old token; an open call takes no notice of it.
            set_caller(None)
        else:
            current = await self._caller_of(call)
            structlog.contextvars.bind_contextvars(user_id=current.subject)
            note_caller(current.subject, is_person=not current.is_service)
            if not self._rules.may_call(call.method, current.role):
                report(SecurityEvent.ROLE_DENIED, method=call.method, role=current.role, subject=current.subject)
                raise PermissionDenied
            needed = self._rules.scopes_for(call.method)
            if current.scopes is not None and not current.scopes & needed:
                report(SecurityEvent.SCOPE_DENIED, method=call.method, session_id=current.session_id)
                raise InsufficientScope(needed)
            set_caller(current)
            if call.streams:
                async with self._until_revoked(current):
                    yield
                return
        yield

    async def _caller_of(self, call: Call) -> Caller:
        authorization = call.metadata.get("authorization", "")
        ticket = call.metadata.get(tickets.HEADER, "")
        if ticket and not authorization:
            current = await self._authenticator.authenticate(ticket, TokenKind.TICKET)
            if current.stream is None:  # an authenticator that knows no tickets
                raise Unauthenticated
            current.stream.require(call.method, call.request())
            return current
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated
        return await self._authenticator.authenticate(token.strip())

    @asynccontextmanager
    async def _until_revoked(self, current: Caller) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                with self._authenticator.until_revoked(current, lambda: scope.reschedule(loop.time())):
                    yield
        except TimeoutError:
            if scope.expired():
                raise TokenRevoked from None
            raise


class StandardInterceptor(grpc.aio.ServerInterceptor):
    """What every service runs its RPCs inside of, whatever their kind.

    One interceptor that keeps the handlers it wrapped: a chain of them, wrapping anew for each call, costs more than
    reading a row does.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        rules: AccessRules,
        telling: AbstractSet[str] = frozenset(),
        hearer: Hearer | None = None,
    ) -> None:
        """Takes who may call, which RPCs tell what the gateway found wrong, and who is told of security events."""
        self._hearer = hearer
        self._telling = telling
        self._log = RequestLog()
        self._errors = ErrorStatus()
        self._identification = Identification(authenticator, rules)
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps the handler of an RPC; for grpcio."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    @asynccontextmanager
    async def _around(
        self, method: str, request: Callable[[], Any], context: Context, *, streams: bool
    ) -> AsyncIterator[None]:
        """The order matters: what identification raises becomes a status, and the log knows that status."""
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        call = Call(method, metadata, request, streams)
        set_hearer(self._hearer)
        async with (
            self._log.around(call, context),
            self._errors.around(call, context),
            self._identification.around(call, context),
        ):
            if form_faults.HEADER in metadata:
                with form_faults.joined(metadata, are_told=method in self._telling):
                    yield
            else:
                yield

    def _wrap(self, method: str, handler: Any) -> Handler:
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        # gRPC would say INTERNAL of a message that it can't read, as if that were our fault; so it is read in here.
        read = _reader(handler.request_deserializer, streams=handler.request_streaming)

        async def unary(content: Any, context: Context) -> Any:
            request = cache(partial(read, content))
            async with self._around(method, request, context, streams=handler.request_streaming):
                return await behaviour(request(), context)

        async def stream(content: Any, context: Context) -> AsyncIterator[Any]:
            request = cache(partial(read, content))
            async with self._around(method, request, context, streams=True):
                async for response in behaviour(request(), context):
                    yield response

        # The other form that a stream of answers may have, which grpcio's own servicers of health use.
        async def write(content: Any, context: Context) -> None:
            request = cache(partial(read, content))
            async with self._around(method, request, context, streams=True):
                await behaviour(request(), context)

        streamed = write if inspect.iscoroutinefunction(behaviour) else stream
        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        wrapped: Handler = make(
            streamed if handler.response_streaming else unary,
            request_deserializer=None,
            response_serializer=handler.response_serializer,
        )
        return wrapped


def _reader(deserialize: Callable[[bytes], Any] | None, *, streams: bool) -> Callable[[Any], Any]:
    """Makes messages of what came over the wire: of one, or of each in a stream.

    What it makes raises InvalidRequest where the bytes are no such message, or one that is nested too deeply.
    """

    def read(content: bytes) -> Any:
        try:
            return deserialize(content) if deserialize else content
        except (DecodeError, ValueError):
            raise InvalidRequest([Violation("request", _UNREADABLE)]) from None

    async def read_each(contents: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for content in contents:
            yield read(content)

    return read_each if streams else read


def status_of(error: ServiceError) -> status_pb2.Status:
    """The status of an error: one ErrorInfo, a BadRequest where fields are wrong, a RetryInfo where it is too early.

    The ErrorInfo also names the request that is being served and its trace, to find it in the platform's logs.
    """
    status = status_pb2.Status(
        code=code_pb2.Code.Value(error.code.name), message=shortened(error.message, _MAX_MESSAGE_BYTES)
    )
    told = {"request_id": logs.request_id(), "trace_id": trace_context.trace_id()}
    metadata = {**error.metadata, **{name: value for name, value in told.items() if value}}
    _attach(status, error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    if isinstance(error, RateLimited):
        _attach(status, error_details_pb2.RetryInfo(retry_delay=Duration(seconds=error.retry_after_s)))
    if error.violations:
        bad_request = error_details_pb2.BadRequest()
        for index, violation in enumerate(error.violations):
            field, description = (shortened(part, _MAX_VIOLATION_BYTES) for part in violation)
            more = len(field.encode()) + len(description.encode())
            if bad_request.ByteSize() + more > _MAX_DETAIL_BYTES - status.ByteSize():
                rest = len(error.violations) - index
                bad_request.field_violations.add(field="…", description=f"and {rest} more wrong fields")
                break
            bad_request.field_violations.add(field=field, description=description)
        _attach(status, bad_request)
    return status


def shortened(text: str, most_bytes: int) -> str:
    """A text cut to so many bytes of UTF-8, with an ellipsis where it was cut."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= most_bytes:
        return encoded.decode()
    return encoded[: most_bytes - 3].decode(errors="ignore") + "…"


def _attach(status: status_pb2.Status, detail: Any) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: ServiceError) -> None:
    tracing.current().note(error.reason)
    status = status_of(error)
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(error.code, status.message, trailing_metadata=trailers)
