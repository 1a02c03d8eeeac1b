"""Requests as they are counted where they are served, and told as figures: each once, to those whose they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import AioRpcError

from mirage.activity.v1 import event_pb2, event_pb2_grpc, performance_pb2_grpc, statistics_pb2_grpc
from mirage.activity.v1 import performance_pb2 as pb
from mirage.activity.v1 import statistics_pb2 as figures_pb
from servicekit.errors import Unavailable
from servicekit.request_counts import CountedCall, RequestCounts, bucket_of
from servicekit.request_telling import RequestTelling
from servicekit.server import Application, running
from servicekit.settings import ServiceSettings
from services.activity.statistics.histograms import RELATIVE_ERROR, told
from tests.activity.platform import Platform, event
from tests.support.holdings import Holdings
from tests.support.servers import NO_DATABASE
from tests.support.tokens import Tokens
from tests.support.traces import traces

USAGE = "mirage.activity.v1.StatisticsService/GetUsage"


class Figures(statistics_pb2_grpc.StatisticsServiceServicer, event_pb2_grpc.EventServiceServicer):
    """Answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()

    async def GetUsage(self, request: figures_pb.GetUsageRequest, context: Any) -> figures_pb.Usage:
        """An answer of some bytes."""
        await self.may_answer.wait()
        return figures_pb.Usage(events=7)

    async def GetDashboard(self, request: Any, context: Any) -> Any:
        """A refusal."""
        raise Unavailable("database")

    GetPerformance = GetSystemStatistics = GetDashboard

    async def RecordEvents(
        self, request: event_pb2.RecordEventsRequest, context: Any
    ) -> event_pb2.RecordEventsResponse:
        """An RPC without a route."""
        return event_pb2.RecordEventsResponse()


@asynccontextmanager
async def serving(tokens: Tokens, counts: RequestCounts, servicer: Figures) -> AsyncIterator[grpc.aio.Channel]:
    """Serves figures, counted."""

    @asynccontextmanager
    async def application() -> AsyncIterator[Application]:
        def register(server: grpc.aio.Server) -> None:
            statistics_pb2_grpc.add_StatisticsServiceServicer_to_server(servicer, server)
            event_pb2_grpc.add_EventServiceServicer_to_server(servicer, server)

        names = ("mirage.activity.v1.StatisticsService", "mirage.activity.v1.EventService")
        yield Application(names, register, tokens.verifier, requests=counts)

    settings = ServiceSettings(database_url=NO_DATABASE, shutdown_grace_seconds=0)
    async with running(settings, application()) as address, grpc.aio.insecure_channel(address) as channel:
        yield channel


def signed(token: str) -> tuple[tuple[str, str], ...]:
    """Metadata with a token."""
    return (("authorization", f"Bearer {token}"),)


async def until_in_flight(counts: RequestCounts, number: int) -> None:
    """Waits until so many requests of a user are under way."""
    async with asyncio.timeout(20):
        while sum(each.requests for each in counts.in_flight() if each.user_id) != number:  # noqa: ASYNC110 - counted, not told
            await asyncio.sleep(0.01)


async def test_counted_where_they_are_served(tokens: Tokens) -> None:
    """A request counts as its user's, with its bytes and its end; other services' and RPCs without a route don't."""
    counts, servicer, user = RequestCounts(), Figures(), str(uuid4())
    async with serving(tokens, counts, servicer) as channel:
        stub = statistics_pb2_grpc.StatisticsServiceStub(channel)
        request = figures_pb.GetUsageRequest(time_zone="Europe/Vienna")
        calls = [stub.GetUsage(request, metadata=signed(tokens.user(user))) for _ in range(3)]
        waiting = [asyncio.ensure_future(call) for call in calls]
        await until_in_flight(counts, 3)
        servicer.may_answer.set()
        answers = await asyncio.gather(*waiting)
        for metadata in (signed("nonsense"), signed(tokens.service("dataset"))):
            with pytest.raises(AioRpcError):
                await stub.GetUsage(request, metadata=metadata)
        with pytest.raises(AioRpcError):
            await stub.GetDashboard(figures_pb.GetDashboardRequest(), metadata=signed(tokens.user(user)))
        events = event_pb2_grpc.EventServiceStub(channel)
        await events.RecordEvents(event_pb2.RecordEventsRequest(), metadata=signed(tokens.service("dataset")))
        taken = {(each.rpc.rpartition("/")[2], each.user_id): each for each in counts.take()}
    assert set(taken) == {("GetUsage", user), ("GetUsage", ""), ("GetDashboard", user)}
    own = taken["GetUsage", user]
    assert (own.requests, own.errors, own.failures) == (3, 0, 0)
    assert own.request_bytes == 3 * request.ByteSize()
    assert own.response_bytes == 3 * answers[0].ByteSize()
    assert sum(each.count for each in own.durations) == 3
    assert own.quarter_time.seconds % 900 == 0
    assert (taken["GetUsage", ""].errors, taken["GetUsage", ""].failures) == (1, 0)
    assert (taken["GetDashboard", user].errors, taken["GetDashboard", user].failures) == (1, 1)
    assert counts.take() == counts.in_flight() == []


def test_buckets_hold_to_their_error() -> None:
    """Whatever a duration is, what is told of its bucket is within the error that is promised."""
    for power in range(-140, 90):
        seconds = 1.1**power
        assert told(bucket_of(seconds)) == pytest.approx(seconds, rel=RELATIVE_ERROR * 1.0001)
    assert bucket_of(0.0) == bucket_of(1e-30) == -200


def test_memory_is_bounded() -> None:
    """Past the bound users are no longer told apart, and past twice that nothing new is counted."""
    counts = RequestCounts(most_keys=3)
    for number in range(10):
        counts.add(CountedCall(USAGE, str(uuid4())), "OK", 0.1)
        counts.add(CountedCall(f"other/{number}", ""), "OK", None)
    taken = counts.take()
    assert len(taken) == 6
    assert sum(each.requests for each in taken if each.rpc == USAGE) == 10
    assert counts.take() == []


class Himself:
    """A service's identity, of a test's tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def token(self) -> str:
        """The token."""
        return self._tokens.service("dataset")

    def discard(self, token: str) -> None:
        """Nothing is kept."""


class Telling(RequestTelling):
    """Tells over a channel that carries no identity of its own."""

    def __init__(self, counts: RequestCounts, platform: Platform) -> None:
        super().__init__(counts, platform.channel, Himself(platform.tokens))
        self.stub = performance_pb2_grpc.PerformanceServiceStub(platform.channel)
        self.metadata = signed(platform.tokens.service("dataset"))
        self.answers_lost = 0
        self._stub = self  # type: ignore[assignment]  # in between

    async def RecordRequests(self, message: pb.RecordRequestsRequest, timeout: float) -> pb.RecordRequestsResponse:  # noqa: ASYNC109 - as gRPC has it
        """Sends a message; its answer may be lost."""
        answer: pb.RecordRequestsResponse = await self.stub.RecordRequests(message, metadata=self.metadata)
        if self.answers_lost:
            self.answers_lost -= 1
            raise AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
        return answer


async def routes(platform: Platform, token: str) -> dict[str, figures_pb.RoutePerformance]:
    """What somebody is told of requests."""
    stub = statistics_pb2_grpc.StatisticsServiceStub(platform.channel)
    answer = await stub.GetPerformance(figures_pb.GetPerformanceRequest(), metadata=signed(token))
    return {route.route: route for route in answer.routes}


async def test_told_once_to_whom_they_belong(platform: Platform) -> None:
    """A message whose answer was lost counts once; users see their own requests, administrators everybody's."""
    ada, grace = str(uuid4()), str(uuid4())
    counts = RequestCounts()
    telling = Telling(counts, platform)
    for user, seconds, code in ((ada, 0.010, "OK"), (ada, 0.020, "INTERNAL"), (grace, 4.0, "NOT_FOUND"), ("", 1, "OK")):
        counts.add(CountedCall(USAGE, user, request_bytes=10, response_bytes=100), code, seconds)
    telling.answers_lost = 2
    with counts.counting(USAGE, None, timed=False) as call:
        call.user_id, call.is_person = ada, True
        assert [await telling.tell() for _ in range(3)] == [False, False, True]
        own = (await routes(platform, platform.tokens.user(ada)))["GET /stats/usage"]
        assert (own.requests, own.errors, own.failures, own.in_flight) == (2, 1, 1, 1)
        assert (own.request_bytes, own.response_bytes, own.rpc) == (20, 200, USAGE)
        assert own.mean_seconds == pytest.approx(0.015)
        assert own.p50_seconds == pytest.approx(0.010, rel=RELATIVE_ERROR * 1.001)
        assert own.p99_seconds == pytest.approx(0.020, rel=RELATIVE_ERROR * 1.001)
        call.is_person = False
    assert (await telling.tell(), await telling.tell()) == (True, True)
    everybody = (await routes(platform, platform.tokens.administrator()))["GET /stats/usage"]
    assert (everybody.requests, everybody.errors, everybody.failures, everybody.in_flight) == (4, 2, 1, 0)
    assert everybody.p95_seconds == pytest.approx(4.0, rel=RELATIVE_ERROR * 1.001)
    assert await routes(platform, platform.tokens.user()) == {}


async def test_who_is_forgotten_is_counted_as_nobody(platform: Platform) -> None:
    """What comes after somebody was forgotten counts for everybody, and names them nowhere."""
    ada = str(uuid4())
    await platform.record(event("session.started", owner_id=ada, actor_id=ada, object_type="session"))
    counts = RequestCounts()
    telling = Telling(counts, platform)
    counts.add(CountedCall(USAGE, ada), "OK", 0.1)
    await telling.tell()
    assert await Holdings(platform.channel, platform.tokens).delete_all(ada)
    counts.add(CountedCall(USAGE, ada), "OK", 0.1)
    await telling.tell()
    assert await traces(platform.database.dsn, [ada]) == []
    assert (await routes(platform, platform.tokens.administrator()))["GET /stats/usage"].requests == 2


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"batch_id": "7"}, "batch_id"),
        ({"counts": [pb.RequestCounts(rpc=USAGE, quarter_time=Timestamp(seconds=901))]}, "counts.0.quarter_time"),
        ({"counts": [pb.RequestCounts(rpc=USAGE, user_id="ada")]}, "counts.0.user_id"),
    ],
)
async def test_wrong_counts_are_refused(platform: Platform, wrong: dict[str, Any], field: str) -> None:
    """A message that can't be right is refused, by the name of what is wrong."""
    message = pb.RecordRequestsRequest(**{"batch_id": str(uuid4()), "process_id": str(uuid4()), **wrong})
    stub = performance_pb2_grpc.PerformanceServiceStub(platform.channel)
    with pytest.raises(AioRpcError) as error:
        await stub.RecordRequests(message, metadata=signed(platform.tokens.service("dataset")))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (error.value.details() or "")
