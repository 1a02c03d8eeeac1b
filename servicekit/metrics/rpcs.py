"""Rate, errors and duration of every RPC, measured around everything else that surrounds it.

The names are those that gRPC's interceptors for Prometheus have in other languages (`grpc_server_handled_total` and the
like), so that dashboards made for them fit. Labels are names of the contracts and gRPC's codes, nothing of a request:
so many there are, and no more.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import cache
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

UNKNOWN = "unknown"
"""The label of every call of an RPC that there isn't."""

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LABELS = ("grpc_type", "grpc_service", "grpc_method")
# By whether the requests and the answers are streams.
_TYPES = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}

Handler = Any  # grpc.RpcMethodHandler, generic in its type stubs only
Context = Any


class RpcMetrics(Collector):
    """The measurements of one server."""

    def __init__(self) -> None:
        self.started = Counter("grpc_server_started", "Calls begun.", _LABELS, registry=None)
        self.handled = Counter("grpc_server_handled", "Calls ended.", (*_LABELS, "grpc_code"), registry=None)
        self.in_flight = Gauge(
            "grpc_server_in_flight", "Calls being served; of a streaming type: open streams.", _LABELS, registry=None
        )
        self.received = Counter(
            "grpc_server_msg_received", "Messages that came in on streams of requests.", _LABELS, registry=None
        )
        self.sent = Counter("grpc_server_msg_sent", "Messages that went out on streams.", _LABELS, registry=None)
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "How long calls took that have one request and one answer; a stream lasts as long as it is wanted.",
            _LABELS,
            registry=None,
            buckets=_BUCKETS_S,
        )

    def collect(self) -> Iterable[Metric]:
        """All of them; for the registry."""
        for metric in (self.started, self.handled, self.in_flight, self.received, self.sent, self.seconds):
            yield from metric.collect()

    def prepare(self, service_names: Iterable[str]) -> None:
        """Has a zero for every RPC of these services, which its first call counts from."""
        pool = descriptor_pool.Default()
        for name in service_names:
            for method in pool.FindServiceByName(name).methods:
                kind = _TYPES[method.client_streaming, method.server_streaming]
                RpcMeter(self, kind, name, method.name)

    def refused(self) -> None:
        """Counts a call of an RPC that there isn't."""
        labels = (UNKNOWN, UNKNOWN, UNKNOWN)
        self.started.labels(*labels).inc()
        self.handled.labels(*labels, grpc.StatusCode.UNIMPLEMENTED.name).inc()


class RpcMeter:
    """The measurements of one RPC."""

    def __init__(self, metrics: RpcMetrics, kind: str, service: str, method: str) -> None:
        labels = (kind, service, method)
        self._started = metrics.started.labels(*labels)
        self._in_flight = metrics.in_flight.labels(*labels)
        self._ended = cache(lambda code: metrics.handled.labels(*labels, code))
        # There before they happen, or the first fault would not be seen to rise from anything.
        for code in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL):
            self._ended(code.name)
        self._seconds = metrics.seconds.labels(*labels) if kind == "unary" else None
        if kind in ("client_stream", "bidi_stream"):
            self.received = metrics.received.labels(*labels)
        if kind in ("server_stream", "bidi_stream"):
            self.sent = metrics.sent.labels(*labels)

    def measured(self, context: Context) -> "_Measured":
        """Measures one call: the block."""
        return _Measured(self, context)

    def begin(self) -> None:
        """A call begins."""
        self._started.inc()
        self._in_flight.inc()

    def end(self, seconds: float, code: str) -> None:
        """A call has ended, with a code, after so long."""
        self._in_flight.dec()
        if self._seconds is not None:
            self._seconds.observe(seconds)
        self._ended(code).inc()


class _Measured:
    """One call's measurement."""

    __slots__ = ("_began", "_context", "_meter")

    def __init__(self, meter: RpcMeter, context: Context) -> None:
        self._meter = meter
        self._context = context

    def __enter__(self) -> None:
        self._meter.begin()
        self._began = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        self._meter.end(time.perf_counter() - self._began, code_at_end(self._context, error))


class MetricsInterceptor(grpc.aio.ServerInterceptor):
    """Measures every call; the first of a server's interceptors, so that what the others refuse counts as well."""

    def __init__(self, metrics: RpcMetrics) -> None:
        self._metrics = metrics
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps the handler of an RPC, once; for grpcio."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                self._metrics.refused()
                return None
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, path: str, handler: Handler) -> Handler:
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        streams = (handler.request_streaming, handler.response_streaming)
        _, service, method = path.split("/")
        meter = RpcMeter(self._metrics, _TYPES[streams], service, method)
        counted = _counted(meter) if handler.request_streaming else _as_it_is

        async def unary(request: Any, context: Context) -> Any:
            with meter.measured(context):
                return await behaviour(counted(request), context)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            with meter.measured(context):
                async with aclosing(behaviour(counted(request), context)) as responses:
                    async for response in responses:
                        meter.sent.inc()
                        yield response

        # A stream of answers of the other form; how many it writes isn't known.
        async def write(request: Any, context: Context) -> None:
            with meter.measured(context):
                await behaviour(counted(request), context)

        streamed = write if inspect.iscoroutinefunction(behaviour) else stream
        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[streams]
        return make(
            streamed if handler.response_streaming else unary,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _as_it_is(request: Any) -> Any:
    return request


def _counted(meter: RpcMeter) -> Callable[[AsyncIterator[Any]], AsyncIterator[Any]]:
    async def each(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            meter.received.inc()
            yield request

    return each


def code_at_end(context: Context, error: BaseException | None) -> str:
    """The name of the code with which a call ends: by an error, or without."""
    # Broken off: its time was over, or nobody waits for it any more.
    broken_off = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return _abandoned(context) if broken_off else _code(context, error)


def _code(context: Context, error: BaseException | None) -> str:
    """The name of the code that the call ends with."""
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    unset = grpc.StatusCode.UNKNOWN if error else grpc.StatusCode.OK  # what gRPC answers then
    return _CODES.get(code, unset.name) if code else unset.name


def _abandoned(context: Context) -> str:
    """The name of the code of a call that was broken off: its time was over, or its caller has gone."""
    left = context.time_remaining()
    over = left is not None and left <= 0
    return (grpc.StatusCode.DEADLINE_EXCEEDED if over else grpc.StatusCode.CANCELLED).name
