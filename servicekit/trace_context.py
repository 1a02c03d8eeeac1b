"""Which trace the work at hand belongs to (W3C Trace Context, level 1), whether or not anybody records spans.

The gateway begins each trace and names it in the header `traceparent`; from there it goes along with every call, and
with work that goes on after the answer. Nothing here needs OpenTelemetry: ids for logs and errors cost next to nothing.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

HEADER = "traceparent"

# Later versions of the header may have more behind what this one has.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


class TraceContext(NamedTuple):
    """A place in a trace."""

    trace_id: str  # 32 hexadecimal digits
    parent_id: str  # 16: the span that what comes next belongs to
    sampled: bool  # whether the trace's spans are recorded

    @classmethod
    def parse(cls, traceparent: str | None) -> "TraceContext | None":
        """Reads a header; None for one that isn't there or isn't well-formed."""
        match = _TRACEPARENT.fullmatch(traceparent or "")
        return cls(match[1], match[2], bool(int(match[3], 16) & _SAMPLED)) if match else None

    @classmethod
    def new(cls) -> "TraceContext":
        """The begin of a trace that nobody records: of what doesn't come through the gateway."""
        return cls(secrets.token_hex(16), secrets.token_hex(8), sampled=False)

    @property
    def traceparent(self) -> str:
        """The header that names this place."""
        return f"00-{self.trace_id}-{self.parent_id}-{int(self.sampled):02x}"


_current: ContextVar[TraceContext | None] = ContextVar("trace_context", default=None)


def current() -> TraceContext | None:
    """Where the work at hand is; None for what belongs to no request and no job."""
    return _current.get()


def trace_id() -> str | None:
    """The trace that the work at hand belongs to."""
    context = _current.get()
    return context.trace_id if context else None


def traceparent() -> str | None:
    """The header for where the work at hand is: to be kept with work that goes on after the answer."""
    context = _current.get()
    return context.traceparent if context else None


@contextmanager
def at(context: TraceContext | None) -> Iterator[None]:
    """Makes a place in a trace the one where the block is."""
    before = _current.get()
    _current.set(context)
    try:
        yield
    finally:
        # Not by a token: a stream that is cut off is ended in another task's context, which would refuse it.
        _current.set(before)


@contextmanager
def unrecorded() -> Iterator[None]:
    """What happens within stays in the trace, but leaves no spans: looks and reports that come again and again."""
    context = _current.get()
    with at(context._replace(sampled=False) if context else None):
        yield
