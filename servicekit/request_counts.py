"""Counts of the requests that a process serves, by RPC, user and quarter of an hour: what statistics tell of routes.

Only RPCs with an HTTP route are counted, and only what people ask for. Counts are kept in memory until they are told
(`servicekit.request_telling`), and take no more of it than a bound: past it users are no longer told apart.
"""

import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import grpc
import grpc.aio
import structlog
from google.api import annotations_pb2
from google.protobuf import descriptor_pool

from mirage.activity.v1 import performance_pb2
from servicekit.metrics.rpcs import code_at_end

log = structlog.get_logger(__name__)

QUARTER_S = 900
MOST_KEYS = 20_000

_BUCKETS = (-200, 200)  # what the contract takes
_NOBODY = ""
_FAILURES = frozenset({"UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED"})
_NO_ERRORS = frozenset({"OK", "CANCELLED"})

Handler = Any  # grpc.RpcMethodHandler, generic in its type stubs only
Context = Any


class _Key(NamedTuple):
    rpc: str  # package.Service/Method
    user_id: str
    quarter: int  # when it began, in seconds since 1970


@dataclass(slots=True)
class _Sums:
    requests: int = 0
    errors: int = 0
    failures: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    microseconds: int = 0
    durations: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True, eq=False)
class CountedCall:
    """A request that is being served."""

    rpc: str
    user_id: str = _NOBODY
    is_person: bool = True
    request_bytes: int = 0
    response_bytes: int = 0


_current: ContextVar[CountedCall | None] = ContextVar("counted_call", default=None)


def note_caller(subject: str, *, is_person: bool) -> None:
    """Takes note of who makes the call that is being served, whether or not they may; for the interceptor."""
    if call := _current.get():
        call.user_id, call.is_person = subject, is_person


class RequestCounts:
    """What one process has counted, and not told yet."""

    def __init__(self, *, most_keys: int = MOST_KEYS, clock: Callable[[], float] = time.time) -> None:
        """`most_keys` is how many combinations of RPC, user and time are told apart; `clock` gives Unix time."""
        self._most_keys = most_keys
        self._clock = clock
        self._sums: dict[_Key, _Sums] = {}
        self._in_flight: set[CountedCall] = set()
        self._merged = 0
        self._dropped = 0

    @contextmanager
    def counting(self, rpc: str, context: Context, *, timed: bool) -> Iterator[CountedCall]:
        """Counts one call: the block. Not `timed` is a stream of answers, which lasts as long as it is wanted."""
        call = CountedCall(rpc)
        _current.set(call)
        self._in_flight.add(call)
        began = time.perf_counter()
        error: BaseException | None = None
        try:
            yield call
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._in_flight.discard(call)
            if call.is_person:
                self.add(call, code_at_end(context, error), time.perf_counter() - began if timed else None)

    def add(self, call: CountedCall, code: str, seconds: float | None) -> None:
        """Counts a call that has ended, with a code, after so long; None where that wasn't measured."""
        sums = self._of(call)
        if sums is None:
            return
        sums.requests += 1
        sums.errors += code not in _NO_ERRORS
        sums.failures += code in _FAILURES
        sums.request_bytes += call.request_bytes
        sums.response_bytes += call.response_bytes
        if seconds is not None:
            sums.microseconds += round(seconds * 1e6)
            sums.durations[bucket_of(seconds)] += 1

    def take(self) -> list[performance_pb2.RequestCounts]:
        """What was counted, which is then forgotten here."""
        taken, self._sums = self._sums, {}
        if self._merged or self._dropped:
            log.warning("requests_not_told_apart", merged=self._merged, dropped=self._dropped)
            self._merged = self._dropped = 0
        return [_told(key, sums) for key, sums in taken.items()]

    def in_flight(self) -> list[performance_pb2.RequestsInFlight]:
        """What is under way."""
        calls = Counter((call.rpc, _person(call.user_id)) for call in self._in_flight if call.is_person)
        return [
            performance_pb2.RequestsInFlight(rpc=rpc, user_id=user_id, requests=count)
            for (rpc, user_id), count in calls.most_common(self._most_keys)
        ]

    def _of(self, call: CountedCall) -> _Sums | None:
        """Where a call is counted: as nobody's where there are too many users, nowhere where even that is too much."""
        now = int(self._clock())
        key = _Key(call.rpc, call.user_id, now - now % QUARTER_S)
        sums = self._sums.get(key)
        if sums is None and len(self._sums) >= self._most_keys:
            self._merged += 1
            key = key._replace(user_id=_NOBODY)
            sums = self._sums.get(key)
            if sums is None and len(self._sums) >= 2 * self._most_keys:
                self._dropped += 1
                return None
        if sums is None:
            sums = self._sums[key] = _Sums()
        return sums


class CountingInterceptor(grpc.aio.ServerInterceptor):
    """Counts calls of RPCs that have an HTTP route; the others pass as they are."""

    def __init__(self, counts: RequestCounts, service_names: Iterable[str]) -> None:
        self._counts = counts
        self._routed = routed(service_names)
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps the handler of an RPC, once; for grpcio."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None or method.removeprefix("/") not in self._routed:
                return handler
            self._wrapped[method] = self._wrap(method.removeprefix("/"), handler)
        return self._wrapped[method]

    def _wrap(self, rpc: str, handler: Handler) -> Handler:
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        # Answers are written here and not by grpcio, so that how long they are is known without writing them twice.
        write = handler.response_serializer or _as_it_is
        counted = _each_counted if handler.request_streaming else _counted

        async def unary(request: Any, context: Context) -> bytes:
            with self._counts.counting(rpc, context, timed=True) as call:
                content: bytes = write(await behaviour(counted(request, call), context))
                call.response_bytes = len(content)
                return content

        async def stream(request: Any, context: Context) -> AsyncIterator[bytes]:
            with self._counts.counting(rpc, context, timed=False) as call:
                async with aclosing(behaviour(counted(request, call), context)) as responses:
                    async for response in responses:
                        content = write(response)
                        call.response_bytes += len(content)
                        yield content

        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        return make(
            stream if handler.response_streaming else unary,
            request_deserializer=handler.request_deserializer,
            response_serializer=None,
        )


def routed(service_names: Iterable[str]) -> frozenset[str]:
    """The RPCs of some services that have an HTTP route, as `package.Service/Method`."""
    pool = descriptor_pool.Default()
    return frozenset(
        f"{name}/{method.name}"
        for name in service_names
        for method in pool.FindServiceByName(name).methods
        if method.GetOptions().HasExtension(annotations_pb2.http)
    )


def bucket_of(seconds: float) -> int:
    """The bucket of a duration: n for what is above 2^((n-1)/8) seconds and at most 2^(n/8)."""
    least, most = _BUCKETS
    return max(least, min(most, math.ceil(8 * math.log2(seconds)))) if seconds > 0 else least


def _told(key: _Key, sums: _Sums) -> performance_pb2.RequestCounts:
    counts = performance_pb2.RequestCounts(
        rpc=key.rpc,
        user_id=_person(key.user_id),
        requests=sums.requests,
        errors=sums.errors,
        failures=sums.failures,
        request_bytes=sums.request_bytes,
        response_bytes=sums.response_bytes,
        microseconds=sums.microseconds,
        durations=[
            performance_pb2.DurationCount(bucket=bucket, count=count) for bucket, count in sums.durations.items()
        ],
    )
    counts.quarter_time.seconds = key.quarter
    return counts


def _person(subject: str) -> str:
    """A user's id as it is told; nobody where it is none."""
    try:
        return str(UUID(subject)) if subject else _NOBODY
    except ValueError:
        return _NOBODY


def _as_it_is(content: Any) -> Any:
    return content


def _counted(content: bytes, call: CountedCall) -> bytes:
    call.request_bytes = len(content)
    return content


async def _each_counted(contents: AsyncIterator[bytes], call: CountedCall) -> AsyncIterator[bytes]:
    async for content in contents:
        call.request_bytes += len(content)
        yield content
