"""Figures beside what they are made of: who may see them, what isn't known, and the tables that they are kept in."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import pytest
from grpc.aio import AioRpcError
from sqlalchemy import text

from mirage.activity.v1 import statistics_pb2 as pb
from mirage.activity.v1 import statistics_pb2_grpc
from servicekit import migrate
from tests.activity.platform import Platform, event
from tests.support.errors import Refusal
from tests.support.postgres import PostgresForTests

BEFORE = "0004"
"""The revision before figures were kept."""

KEPT = ("activity_quarters", "facet_counts", "standing_counts", "standings", "user_actions")


def signed(token: str) -> tuple[tuple[str, str], ...]:
    """Metadata with a token."""
    return (("authorization", f"Bearer {token}"),)


async def kept(platform: Platform) -> dict[str, list[Any]]:
    """All rows of what is counted, in an order; what is counted down to nothing is nothing."""
    async with platform.database.sessions() as session:
        rows = {}
        for table in KEPT:
            found = await session.execute(text(f"SELECT to_jsonb({table}) AS row FROM {table}"))  # noqa: S608 - names of ours
            rows[table] = sorted(str(row.row) for row in found if row.row.get("count") != 0)
        return rows


async def test_what_isnt_known_is_left_out(platform: Platform) -> None:
    """Where other services can't be asked, figures come without what they know, and say so."""
    stub = statistics_pb2_grpc.StatisticsServiceStub(platform.channel)
    token = signed(platform.tokens.administrator())
    answer = await stub.GetSystemStatistics(pb.GetSystemStatisticsRequest(), metadata=token)
    assert not answer.HasField("workload")
    assert not answer.dashboard.HasField("storage")
    assert not answer.dashboard.HasField("success_rate")
    assert len(answer.dashboard.notes) == 2


async def test_everybodys_figures_are_for_administrators(platform: Platform) -> None:
    """A user is refused everybody's figures, and is told of their own requests and jobs whatever they ask for."""
    stub = statistics_pb2_grpc.StatisticsServiceStub(platform.channel)
    await platform.record(event("job.failed", attributes={"model_type": "ctgan"}))
    token = signed(platform.tokens.user())
    with pytest.raises(AioRpcError) as error:
        await stub.GetSystemStatistics(pb.GetSystemStatisticsRequest(), metadata=token)
    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert not (await stub.GetPerformance(pb.GetPerformanceRequest(own=False), metadata=token)).models


async def test_wrong_time_zones(platform: Platform) -> None:
    """A name that is no time zone's is refused together with what else is wrong, whatever it looks like."""
    stub = statistics_pb2_grpc.StatisticsServiceStub(platform.channel)
    token = signed(platform.tokens.user())
    for zone in ("Nowhere", "../../etc/passwd", "x" * 65, "UTC\0", "europe", "+02:00"):
        refusal = Refusal()
        with pytest.raises(AioRpcError) as error:
            await stub.GetPerformance(pb.GetPerformanceRequest(time_zone=zone, days=91), metadata=token)
        refusal.read(error.value)
        assert refusal.reason == "INVALID_REQUEST"
        for field in ("time_zone", "days"):
            assert field in (error.value.details() or "")


async def test_records_from_before_are_counted(platform: Platform, postgres: PostgresForTests) -> None:
    """What was recorded before figures were kept counts as it would have since, and the way back leaves nothing."""
    owner = str(uuid4())
    for kind in ("job.created", "job.started", "job.succeeded", "dataset.uploaded", "session.ended", "study.stopped"):
        attributes = {"seconds": 7.25, "rows": 10, "format": "csv", "quality_score": 0.5, "method": "random"}
        await platform.record(event(kind, owner_id=owner, actor_id=owner, attributes=attributes))
    before = await kept(platform)
    assert all(before.values())
    url = postgres.database_url("activity")
    await asyncio.to_thread(migrate.downgrade, "activity", url, BEFORE)
    try:
        async with platform.database.sessions() as session:
            found = await session.execute(text("SELECT proname FROM pg_proc WHERE proname = 'count_records'"))
            assert found.first() is None
    finally:
        await asyncio.to_thread(migrate.upgrade, "activity", url)
    assert await kept(platform) == before
