"""Spans of what the database is asked: the statement without a value, and what came of it.

OpenTelemetry's instrumentation of asyncpg finds each statement, prepared or not, and times it; what is told of one is
decided here. Its own spans would be named by the verb alone and repeat literals.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.trace import INVALID_SPAN, NoOpTracer, NoOpTracerProvider, Span, Tracer

from servicekit import tracing
from servicekit.tracing import Attributes

# Parameters are not in a statement's text; what was written into it as a literal is taken out. Read from left to right,
# so that a quote inside a comment, or a dash inside a literal, isn't taken for a begin.
_TOKEN = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<name> "[^"]*" )
    | (?P<literal>
        [eE]'(?:\\.|''|[^'\\])*(?:'|$) | '(?:''|[^'])*(?:'|$) | \$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|$)
        | (?<![\w$.])\d+(?:\.\d+)?\b
    )
    """,
    re.DOTALL | re.VERBOSE,
)
_SPACE = re.compile(r"\s+")
# The first thing that a statement names as what it reads or writes.
_TARGET = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN|TABLE)\s+(?:ONLY\s+)?(?:"?\w+"?\.)?"?(\w+)"?', re.IGNORECASE)
# What a statement of several parts changes.
_CHANGE = re.compile(r'\b(INSERT|UPDATE|DELETE)\s+(?:INTO\s+|FROM\s+)?(?:"?\w+"?\.)?"?(\w+)"?', re.IGNORECASE)
_FUNCTION = re.compile(r"SELECT (?:\w+\.)?(\w+)\(", re.IGNORECASE)
_LONGEST = 2000
# To ask whether the connection is alive is an empty statement.
_SURROUNDING = frozenset({"", "BEGIN", "ROLLBACK"})


class Statement(NamedTuple):
    """What may be told of a statement."""

    operation: str  # SELECT, COMMIT …
    target: str  # the first table, else a function; empty for none
    text: str

    @property
    def name(self) -> str:
        """The span's name."""
        return f"{self.operation} {self.target}".strip()


def _told(token: "re.Match[str]") -> str:
    if token["comment"]:
        return " "
    return token["name"] or "?"


@lru_cache(maxsize=1024)
def described(query: str) -> Statement | None:
    """What may be told of a statement; None for one of those that only surround the others and take no time."""
    text = _SPACE.sub(" ", _TOKEN.sub(_told, query)).strip(" ;")
    operation = text.split(" ", 1)[0].upper()
    if operation in _SURROUNDING:
        return None
    if operation == "WITH" and (change := _CHANGE.search(text)):
        return Statement(change[1].upper(), change[2], text[:_LONGEST])
    target = _TARGET.search(text) or _FUNCTION.match(text)
    return Statement(operation, target[1] if target else "", text[:_LONGEST])


def begin() -> None:
    """From now on statements leave spans, where what asks them is recorded."""
    AsyncPGInstrumentor().instrument(tracer_provider=_Provider())  # type: ignore[no-untyped-call] # its library's


def end() -> None:
    """No more of that."""
    AsyncPGInstrumentor().uninstrument()  # type: ignore[no-untyped-call] # its library's


class _Provider(NoOpTracerProvider):
    """Gives the instrumentation a tracer of ours."""

    def get_tracer(self, *_arguments: Any, **_options: Any) -> Tracer:
        return _StatementTracer()


class _StatementTracer(NoOpTracer):
    """Takes what the instrumentation says of a statement, and records what may be told of it."""

    @contextmanager
    def start_as_current_span(  # type: ignore[override] # of what else there is to say, the instrumentation says nothing
        self, name: str, *_arguments: Any, attributes: Attributes | None = None, **_options: Any
    ) -> Iterator[Span]:
        statement = described(str((attributes or {}).get("db.statement", name)))
        if statement is None:
            yield INVALID_SPAN
            return
        told = {
            "db.system.name": "postgresql",
            "db.operation.name": statement.operation,
            "db.query.text": statement.text,
        }
        with tracing.span(statement.name, "client", told):
            yield INVALID_SPAN  # what came of it, our own span sees by itself
