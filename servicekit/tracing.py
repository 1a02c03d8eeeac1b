"""Spans of what takes time: calls, statements, objects stored, stages of work.

A trace begins at the gateway, which decides whether it is recorded; what belongs to no trace, or to one that isn't
recorded, leaves no spans: so polls, heartbeats and housekeeping don't either. Where no collector is set, nothing of
OpenTelemetry is imported, and a span is an empty block.

Spans say what was done and what came of it: never a value of a table or a statement, a name that a user gave, an
address, a token, nor who it was; the logs tell that of the same trace, to whoever may read them.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from servicekit import trace_context
from servicekit.settings import TelemetrySettings
from servicekit.trace_context import TraceContext

if TYPE_CHECKING:
    from servicekit.span_export import RecordedSpan, SpanRecorder

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Span:
    """A span at work; this one records nothing, and costs as good as nothing."""

    recorded = False

    def __enter__(self) -> "Span":
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def set(self, name: str, value: str | float | bool) -> None:
        """Sets an attribute."""

    def describe_call(self, method: str) -> None:
        """Says which RPC it is about: `/package.Service/Method`."""

    def answered(self, code: str) -> None:
        """Says with which status an RPC was answered, by the name that gRPC has for it."""

    def fail(self, reason: str) -> None:
        """Says that what was done went wrong; `reason` is an error's, such as `JOB_NOT_FOUND`, or its type."""

    def note(self, reason: str) -> None:
        """Says which error was answered, without calling it a failure of ours."""


_NOT_RECORDED = Span()
_current: ContextVar[Span] = ContextVar("span", default=_NOT_RECORDED)

# Of the process, as its logs are: what records spans; None where nothing does.
_recorder: "SpanRecorder | None" = None


def configure(service: str, settings: TelemetrySettings) -> None:
    """Has this process's spans sent to the collector that the settings name, if they name one."""
    global _recorder  # noqa: PLW0603 - one a process
    if settings.otel_exporter_otlp_endpoint is None:
        return
    # Imported here: it takes a fifth of a second.
    from servicekit import statements
    from servicekit.span_export import SpanRecorder

    _recorder = SpanRecorder(service, settings)
    statements.begin()


def close() -> None:
    """Sends what was not sent yet, if the collector takes it soon, and records no more."""
    global _recorder  # noqa: PLW0603 - one a process
    if _recorder is not None:
        from servicekit import statements

        statements.end()
        _recorder.close()
        _recorder = None


def flush() -> bool:
    """Sends what was not sent yet and waits for that; False where the collector didn't take it."""
    return _recorder is None or _recorder.flush()


def is_on() -> bool:
    """Whether this process records spans."""
    return _recorder is not None


def current() -> Span:
    """The span that is at work."""
    return _current.get()


def span(name: str, kind: Kind = "internal", attributes: Attributes | None = None) -> AbstractContextManager[Span]:
    """A span around the block, under the one that is at work. An error that leaves the block makes it a failed one."""
    if _recorder is None:
        return _NOT_RECORDED
    parent = trace_context.current()
    if parent is None or not parent.sampled:
        return _NOT_RECORDED
    return _at_work(_recorder.begin(name, kind, parent, attributes), kind)


@contextmanager
def _at_work(begun: "RecordedSpan", kind: Kind) -> Iterator[Span]:
    before = _current.get()
    _current.set(begun)
    try:
        with trace_context.at(begun.context):
            yield begun
    except Exception as error:
        if kind != "server":  # of a call that is served its status tells
            begun.fail(reason_of(error))
        raise
    finally:
        _current.set(before)
        begun.end()


@contextmanager
def serving(method: str, place: TraceContext, request_id: str) -> Iterator[Span]:
    """A call that is served, at the place in a trace that its caller named."""
    with trace_context.at(place), span(method.lstrip("/"), "server", {"mirage.request_id": request_id}) as begun:
        if begun.recorded:
            begun.describe_call(method)
        yield begun


@contextmanager
def calling(method: str) -> Iterator[Span]:
    """A call to another service."""
    with span(method.lstrip("/"), "client") as begun:
        if begun.recorded:
            begun.describe_call(method)
        yield begun


@contextmanager
def resuming(name: str, traceparent: str | None, queued_at: datetime, attributes: Attributes) -> Iterator[Span]:
    """Work from a queue, at the place in a trace where it was asked for; how long it has waited is told beside it."""
    with trace_context.at(TraceContext.parse(traceparent) or TraceContext.new()):
        waited("queued", queued_at, attributes)
        with span(name, "consumer", attributes) as begun:
            yield begun


def waited(name: str, since: datetime, attributes: Attributes | None = None) -> None:
    """A span from a time until now, under the one that is at work: of waiting that nobody was there to see begin."""
    parent = trace_context.current()
    if _recorder is not None and parent is not None and parent.sampled:
        _recorder.begin(name, "internal", parent, attributes, since).end()


class Stages:
    """Spans of stages that follow each other, told from outside of whatever does the work."""

    def __init__(self) -> None:
        self._parent = trace_context.current()
        self._stage = ""
        self._span: Any = None

    def enter(self, stage: str) -> None:
        """The work has come to a stage; the same one again changes nothing."""
        if stage == self._stage:
            return
        self.end()
        self._stage = stage
        if _recorder is not None and self._parent is not None and self._parent.sampled:
            self._span = _recorder.begin(stage, "internal", self._parent)

    def end(self, reason: str = "") -> None:
        """The last stage is over, or came to nothing for this reason."""
        if self._span is not None:
            if reason:
                self._span.fail(reason)
            self._span.end()
        self._span, self._stage = None, ""


@contextmanager
def stages() -> Iterator[Stages]:
    """Stages of the work in the block; the last one ends with it, and fails with it."""
    told = Stages()
    try:
        yield told
    except Exception as error:
        told.end(reason_of(error))
        raise
    finally:
        told.end()


def reason_of(error: BaseException) -> str:
    """What may be said of an error: its reason, or its type. Its message may quote anything."""
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, str) and reason else type(error).__name__
