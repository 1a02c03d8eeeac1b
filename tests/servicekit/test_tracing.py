"""Spans: what is told of which work, to whom, and what happens when nobody listens."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import grpc
import grpc.aio
import pytest
import structlog
from structlog.testing import capture_logs

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from servicekit import statements, trace_context, tracing
from servicekit.clients import peer_channel
from servicekit.errors import ServiceError, Unavailable
from servicekit.settings import TelemetrySettings
from servicekit.timestamps import utc_now
from servicekit.trace_context import TraceContext
from tests.support.collector import Collector, running_collector
from tests.support.postgres import PostgresForTests
from tests.support.servers import serving_at
from tests.support.tokens import Tokens

RECORDED = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that this process's spans go to."""
    with running_collector() as running:
        tracing.configure("here", TelemetrySettings(otel_exporter_otlp_endpoint=running.endpoint))
        yield running
        tracing.close()


def _arrived(collector: Collector) -> dict[str, str]:
    """Each span's parent, by their names, once all have been sent."""
    tracing.close()
    names = {span.span_id: span.name for span in collector.spans} | {RECORDED.parent_id: "the caller"}
    return {span.name: names[span.parent_id] for span in collector.spans}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\nx",
    ],
)
def test_malformed_headers(header: str) -> None:
    """What isn't a traceparent names no trace."""
    assert TraceContext.parse(header) is None


def test_headers() -> None:
    """A traceparent is read and written as W3C has it, later versions included."""
    assert TraceContext.parse(RECORDED.traceparent) == RECORDED
    assert TraceContext.parse(f"cc{RECORDED.traceparent[2:]}-more") == RECORDED
    assert TraceContext.parse(TraceContext.new().traceparent)


def test_only_what_is_recorded_leaves_spans(collector: Collector) -> None:
    """Spans hang under each other and under the caller's; what belongs to no recorded trace leaves none."""
    with tracing.span("no trace"):
        pass
    with trace_context.at(RECORDED._replace(sampled=False)), tracing.span("not recorded"):
        pass
    with trace_context.at(RECORDED), tracing.span("work"):
        tracing.waited("queued", utc_now() - timedelta(seconds=5))
        with trace_context.unrecorded(), tracing.span("poll"):
            assert trace_context.trace_id() == RECORDED.trace_id
        with tracing.stages() as stages:
            stages.enter("reading")
            stages.enter("reading")
            stages.enter("storing")
    assert _arrived(collector) == {"work": "the caller", "queued": "work", "reading": "work", "storing": "work"}
    [queued] = [span for span in collector.spans if span.name == "queued"]
    assert queued.end_ns - queued.start_ns >= 5e9


class _Secretive(ServiceError):
    code, reason = grpc.StatusCode.NOT_FOUND, "NOT_HERE"


def test_failures_are_told_without_their_messages(collector: Collector) -> None:
    """A span that an error leaves has failed, of the error's reason or type; its message is nobody's business."""
    for error in (_Secretive("grace@example.org has none"), ValueError("grace@example.org")):
        with trace_context.at(RECORDED), pytest.raises(type(error)), tracing.span(type(error).__name__):
            raise error
    _arrived(collector)
    assert {(span.failed, span.message) for span in collector.spans} == {(True, "NOT_HERE"), (True, "ValueError")}
    assert "grace" not in repr(collector.spans)


class _Account(account_pb2_grpc.AccountServiceServicer):
    """Raises what the test wants, and says in which trace it was called."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def GetMe(self, _request: object, _context: object) -> account_pb2.User:
        if self.error:
            raise self.error
        return account_pb2.User(user_id=trace_context.trace_id() or "")


@pytest.mark.parametrize(
    ("error", "failed"),
    [(None, False), (_Secretive("grace"), False), (Unavailable("database"), True), (RuntimeError("grace"), True)],
)
async def test_calls(collector: Collector, tokens: Tokens, error: Exception | None, failed: bool) -> None:
    """A call leaves a span here and there; where the caller is at fault, only the caller's has failed."""

    class Identity:
        async def token(self) -> str:
            return tokens.user()

        def discard(self, _token: str) -> None:
            pass

    def register(server: grpc.aio.Server) -> None:
        account_pb2_grpc.add_AccountServiceServicer_to_server(_Account(error), server)  # type: ignore[abstract]  # the rest isn't called

    structlog.contextvars.bind_contextvars(request_id="r-1")
    async with (
        serving_at(["mirage.auth.v1.AccountService"], register, tokens.verifier) as address,
        peer_channel(address, None, Identity()) as channel,
    ):
        with trace_context.at(RECORDED):
            try:
                user = await account_pb2_grpc.AccountServiceStub(channel).GetMe(account_pb2.GetMeRequest())
                assert user.user_id == RECORDED.trace_id
            except grpc.aio.AioRpcError:
                assert error
    _arrived(collector)
    spans = {span.kind: span for span in collector.spans}
    assert {span.name for span in spans.values()} == {"mirage.auth.v1.AccountService/GetMe"}
    assert spans["SERVER"].parent_id == spans["CLIENT"].span_id
    assert spans["SERVER"].attributes["mirage.request_id"] == "r-1"
    assert (spans["CLIENT"].failed, spans["SERVER"].failed) == (error is not None, failed)
    assert "grace" not in repr(collector.spans)


async def test_statements(collector: Collector, postgres: PostgresForTests) -> None:
    """Statements leave spans with their text and without a value, and one that fails has failed."""
    connection = await asyncpg.connect(postgres.database_url("auth").replace("+asyncpg", ""))
    with trace_context.at(RECORDED):
        await connection.execute("CREATE TEMPORARY TABLE people (name text, age int)")
        await connection.execute("INSERT INTO people VALUES ('Grace O''Hara', 85)")
        statement = await connection.prepare("SELECT * FROM people WHERE name = $1 AND age > 84")
        assert len(await statement.fetch("Grace O'Hara")) == 1
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("SELECT 'Grace'::int")
    await connection.close()
    _arrived(collector)
    told = {span.name: (span.attributes["db.query.text"], span.failed) for span in collector.spans}
    assert told["INSERT people"] == ("INSERT INTO people VALUES (?, ?)", False)
    assert told["SELECT people"] == ("SELECT * FROM people WHERE name = $1 AND age > ?", False)
    assert told["SELECT"] == ("SELECT ?::int", True)
    assert "Grace" not in repr(collector.spans)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ('SELECT 1 FROM generation."jobs" JOIN models ON true', "SELECT jobs"),
        ("update dataset_versions set a = $1", "UPDATE dataset_versions"),
        ("SELECT pg_notify($1, $2)", "SELECT pg_notify"),
        (
            "WITH inserted AS (INSERT INTO pgqueuer (a) VALUES ($1) RETURNING id) SELECT * FROM inserted",
            "INSERT pgqueuer",
        ),
        ("COMMIT;", "COMMIT"),
    ],
)
def test_names_of_statements(query: str, name: str) -> None:
    """A statement is named by what it does and to which table."""
    described = statements.described(query)
    assert described
    assert described.name == name


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT 'a''b', 1.5, $1, a1 FROM t", "SELECT ?, ?, $1, a1 FROM t"),
        ("SELECT 'a' -- isn't told\n, 'b'", "SELECT ? , ?"),
        ("SELECT /* isn't */ 'a--b', \"it's\", 'c'", 'SELECT ?, "it\'s", ?'),
        (r"SELECT E'it\'s', 'c'", "SELECT ?, ?"),
        ("SELECT $$it's$$, $q$ 'a' $q$, 'never ends", "SELECT ?, ?, ?"),
    ],
)
def test_no_value_is_told(query: str, text: str) -> None:
    """Whatever stands around a literal, it is taken out, and nothing else."""
    described = statements.described(query)
    assert described
    assert described.text == text


def test_a_collector_that_is_away() -> None:
    """While the collector is away nothing waits for it; that is said once, and once that it is back."""
    with running_collector() as before:
        address = before.address
    tracing.configure("here", TelemetrySettings(otel_exporter_otlp_endpoint=f"http://{address}"))
    with capture_logs() as said:
        for _ in range(2):
            with trace_context.at(RECORDED), tracing.span("lost"):
                pass
            assert not tracing.flush()
        assert [line["event"] for line in said] == ["spans_not_taken"]
        with running_collector(address) as collector:
            while "spans_taken_again" not in [line["event"] for line in said]:
                with trace_context.at(RECORDED), tracing.span("taken"):
                    pass
                tracing.flush()
            assert {span.name for span in collector.spans} == {"taken"}
    tracing.close()
    assert [line["event"] for line in said] == ["spans_not_taken", "spans_taken_again"]


async def test_tasks_keep_their_place() -> None:
    """Work side by side doesn't get into another's trace, and a stream that is cut off ends where it was."""

    async def work(context: TraceContext) -> None:
        with trace_context.at(context):
            await asyncio.sleep(0)
            assert trace_context.current() is context
        assert trace_context.current() is None

    await asyncio.gather(*(work(TraceContext.new()) for _ in range(10)))
