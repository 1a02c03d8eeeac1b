"""Spans recorded with OpenTelemetry's SDK and sent to a collector; imported only where a collector is set."""

import logging
import threading
from collections.abc import Sequence
from datetime import datetime

import grpc
import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from servicekit.settings import TelemetrySettings
from servicekit.trace_context import TraceContext
from servicekit.tracing import Attributes, Kind, Span

log = structlog.get_logger(__name__)

_EXPORT_TIMEOUT_S = 5
_CLOSE_S = 2.0
_LONGEST_ATTRIBUTE = 2000
_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
# As OpenTelemetry's conventions for gRPC have it.
_SERVERS_FAILURES = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
_ALL_FAILURES = frozenset(code.name for code in grpc.StatusCode) - {"OK"}


class RecordedSpan(Span):
    """A span that the SDK records."""

    recorded = True

    def __init__(self, inner: trace.Span, kind: Kind) -> None:
        self._inner = inner
        self._kind = kind
        context = inner.get_span_context()
        self.context = TraceContext(
            trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id), context.trace_flags.sampled
        )

    def set(self, name: str, value: str | float | bool) -> None:
        """Sets an attribute."""
        self._inner.set_attribute(name, value)

    def describe_call(self, method: str) -> None:
        """Says which RPC it is about."""
        service, _, name = method.lstrip("/").partition("/")
        self._inner.set_attributes({"rpc.system": "grpc", "rpc.service": service, "rpc.method": name})

    def answered(self, code: str) -> None:
        """Says with which status an RPC was answered: a caller's own fault is no failure of who serves."""
        self._inner.set_attribute("rpc.grpc.status_code", grpc.StatusCode[code].value[0])
        failures = _SERVERS_FAILURES if self._kind == "server" else _ALL_FAILURES
        if code in failures:
            self._inner.set_status(Status(StatusCode.ERROR, code))

    def fail(self, reason: str) -> None:
        """Says that what was done went wrong."""
        self.note(reason)
        self._inner.set_status(Status(StatusCode.ERROR, reason))

    def note(self, reason: str) -> None:
        """Says which error was answered."""
        self._inner.set_attribute("error.type", reason)

    def end(self) -> None:
        """Ends it now."""
        self._inner.end()


class SpanRecorder:
    """Begins spans, and has those that have ended sent in the background."""

    def __init__(self, service: str, settings: TelemetrySettings) -> None:
        endpoint = settings.otel_exporter_otlp_endpoint or ""
        # Ours says it once; the library would at each try.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._provider = TracerProvider(
            resource=Resource({"service.name": service, "service.namespace": "mirage"}),
            # The gateway decides; whatever doesn't come from there leaves no trace.
            sampler=ParentBased(ALWAYS_OFF),
            span_limits=SpanLimits(max_span_attribute_length=_LONGEST_ATTRIBUTE),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(
            endpoint=endpoint,
            headers=settings.otlp_headers,
            credentials=_credentials(settings),
            insecure=endpoint.startswith("http://"),
            timeout=_EXPORT_TIMEOUT_S,
        )
        # What the collector doesn't take in time is dropped, the newest first, beyond two thousand spans.
        self._exporter = _TellingExporter(exporter)
        batches = BatchSpanProcessor(
            self._exporter, max_queue_size=2048, schedule_delay_millis=1000, max_export_batch_size=512
        )
        self._provider.add_span_processor(batches)
        self._tracer = self._provider.get_tracer("mirage")

    def begin(
        self,
        name: str,
        kind: Kind,
        parent: TraceContext,
        attributes: Attributes | None = None,
        since: datetime | None = None,
    ) -> RecordedSpan:
        """Begins a span now, or at a time before."""
        above = SpanContext(
            int(parent.trace_id, 16), int(parent.parent_id, 16), is_remote=True, trace_flags=TraceFlags(parent.sampled)
        )
        context = trace.set_span_in_context(NonRecordingSpan(above), Context())
        start_ns = int(since.timestamp() * 1e9) if since else None
        inner = self._tracer.start_span(name, context, _KINDS[kind], attributes, start_time=start_ns)
        return RecordedSpan(inner, kind)

    def flush(self) -> bool:
        """Sends what has ended; False where the collector didn't take it."""
        return self._provider.force_flush() and self._exporter.reached

    def close(self) -> None:
        """Sends what is left; a collector that is away isn't waited for."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True, name="spans-close")
        closing.start()
        closing.join(_CLOSE_S)


def _credentials(settings: TelemetrySettings) -> grpc.ChannelCredentials | None:
    """What the collector's certificate is checked by; None for the usual authorities."""
    trusted = settings.otel_exporter_otlp_certificate
    return grpc.ssl_channel_credentials(trusted.read_bytes()) if trusted else None


class _TellingExporter(SpanExporter):
    """Says once that the collector doesn't take spans, and once that it does again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._lost = 0

    @property
    def reached(self) -> bool:
        """Whether the collector has taken the last batch."""
        return not self._lost

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends spans; for the SDK's thread."""
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.info("spans_taken_again", spans_lost=self._lost)
            self._lost = 0
        else:
            if not self._lost:
                log.warning("spans_not_taken", hint="is the collector at OTEL_EXPORTER_OTLP_ENDPOINT up?")
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        """Closes the connection."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Sends what is held back."""
        return self._inner.force_flush(timeout_millis)
