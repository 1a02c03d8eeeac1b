"""A collector of traces: a real gRPC server that takes OTLP, as those of the field do."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

_DEADLINE_S = 60.0


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it arrived."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str  # empty: it begins the trace
    kind: str  # SERVER, CLIENT …
    failed: bool
    message: str  # of its status
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """What has arrived so far."""

    address: str = ""
    spans: list[ReceivedSpan] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)  # of the last batch

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        return f"http://{self.address}"

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Takes a batch."""
        self.metadata = {key: str(value) for key, value in context.invocation_metadata()}
        for resource_spans in request.resource_spans:
            service = _attributes(resource_spans.resource.attributes)["service.name"]
            for scope_spans in resource_spans.scope_spans:
                self.spans += [_received(service, span) for span in scope_spans.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, trace_id: str, complete: Callable[[Sequence[ReceivedSpan]], bool]) -> Sequence[ReceivedSpan]:
        """A trace's spans in the order of their begin, once what must be among them has arrived."""
        deadline = time.monotonic() + _DEADLINE_S
        while time.monotonic() < deadline:
            found = sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.start_ns)
            if complete(found) and not orphans_of(found):
                return found
            time.sleep(0.05)
        told = [(span.service, span.name, span.parent_id) for span in found]
        raise TimeoutError(f"the trace isn't whole within {_DEADLINE_S:.0f} s: {told}")


def orphans_of(spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    """Spans of a trace whose parents aren't there."""
    known = {span.span_id for span in spans} | {""}
    return [span for span in spans if span.parent_id not in known]


@contextmanager
def running_collector(address: str = "127.0.0.1:0") -> Iterator[Collector]:
    """A collector on a free port, or on one that it had before."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call] # its library's
    port = server.add_insecure_port(address)
    collector.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


def _received(service: str, span: trace_pb2.Span) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=span.status.message,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: common_pb2.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
