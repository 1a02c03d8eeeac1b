"""The log, as administrators read it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text

from mirage.activity.v1 import log_pb2, log_pb2_grpc
from servicekit.structs import from_struct
from servicekit.timestamps import to_timestamp
from tests.activity.platform import Platform, event
from tests.support.errors import refused
from tests.support.holdings import Holdings

LIST = log_pb2.ListLogRecordsRequest


async def page(platform: Platform, request: LIST, token: str = "") -> log_pb2.ListLogRecordsResponse:
    """A page, as an administrator gets it."""
    metadata = (("authorization", f"Bearer {token or platform.tokens.administrator()}"),)
    stub: Any = log_pb2_grpc.LogServiceStub(platform.channel)
    answer: log_pb2.ListLogRecordsResponse = await stub.ListLogRecords(request, metadata=metadata)
    return answer


async def numbers(platform: Platform, **filters: Any) -> list[int]:
    """The numbers of the records that fit."""
    return [int(record.seq) for record in (await page(platform, LIST(**filters))).records]


async def test_who_did_what_to_what(platform: Platform) -> None:
    """Each filter shows what fits it, together what fits all; an administrator's own acts are there."""
    ada, root, job = str(uuid4()), str(uuid4()), str(uuid4())
    await platform.record(
        event("job.created", actor_id=ada, owner_id=ada, object_id=job),
        event("job.approved", actor_id=root, actor_role="administrator", owner_id=ada, object_id=job),
        event("dataset.uploaded", actor_id=ada, owner_id=ada, object_type="dataset"),
        event("cat.fed", actor_id="", owner_id="", object_type="", object_id="", personal={}),
    )
    assert await numbers(platform) == [4, 3, 2, 1]
    assert await numbers(platform, actor_id=ada) == [3, 1]
    assert await numbers(platform, actor_id=root) == [2]
    assert await numbers(platform, owner_id=ada) == [3, 2, 1]
    assert await numbers(platform, action="job.approved") == [2]
    assert await numbers(platform, action="job") == [2, 1]
    assert await numbers(platform, action="cat.fed") == [4]
    assert await numbers(platform, object_type="job") == [2, 1]
    assert await numbers(platform, object_id=job, actor_id=ada) == [1]
    assert await numbers(platform, object_id=job, actor_id=ada, action="dataset") == []
    [record] = (await page(platform, LIST(actor_id=root))).records
    assert (record.kind, record.actor_role, record.owner_id, record.object_id) == (
        "job.approved",
        "administrator",
        ada,
        job,
    )
    assert from_struct(record.personal) == {"email": "ada@example.org"}
    assert from_struct(record.attributes)["rows"] == 5000
    await Holdings(platform.channel, platform.tokens).delete_all(ada)
    [record] = (await page(platform, LIST(actor_id=root))).records
    assert (record.owner_id, from_struct(record.personal)) == ("", {})


async def test_pages(platform: Platform) -> None:
    """Pages hold every record once, also while others come; a token of another filter is refused."""
    await platform.record(*(event("job.created") for _ in range(7)))
    seen: list[int] = []
    token = ""
    while True:
        answer = await page(platform, LIST(page_size=3, page_token=token, action="job"))
        seen += [int(record.seq) for record in answer.records]
        await platform.record(event("job.created"))
        token = answer.next_page_token
        if not token:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    token = (await page(platform, LIST(page_size=3, action="job"))).next_page_token
    for wrong in (
        LIST(page_size=3, page_token=token),
        LIST(page_token=token, action="job.created"),
        LIST(page_token=token, action="job", actor_id=str(uuid4())),
        LIST(page_token=token[:-3], action="job"),
    ):
        async with refused("INVALID_REQUEST") as refusal:
            await page(platform, wrong)
        assert set(refusal.violations) == {"page_token"}


async def test_times(platform: Platform) -> None:
    """A range has its beginning and not its end; one in which nothing is, and a huge one, are ranges as well."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    await platform.record(*(event() for _ in range(6)))
    async with platform.database.sessions.begin() as session:
        statement = text("UPDATE records SET recorded_time = CAST(:began AS timestamptz) + seq / 2 * interval '1 hour'")
        await session.execute(statement, {"began": began})

    def hours(count: float) -> Timestamp:
        return to_timestamp(began + timedelta(hours=count))

    assert await numbers(platform, since=hours(1), until=hours(2)) == [3, 2]
    assert await numbers(platform, since=hours(1)) == [6, 5, 4, 3, 2]
    assert await numbers(platform, until=hours(1)) == [1]
    assert await numbers(platform, since=hours(0.1), until=hours(0.2)) == []
    assert await numbers(platform, since=hours(100)) == []
    assert await numbers(platform, until=hours(-1)) == []
    everything = {"since": Timestamp(seconds=-62_135_596_800), "until": Timestamp(seconds=253_402_300_799)}
    assert await numbers(platform, **everything) == [6, 5, 4, 3, 2, 1]


async def test_a_huge_range_is_no_walk(platform: Platform) -> None:
    """Whatever is filtered by, the first page is found by indexes: nobody reads the whole log for it."""
    rare = event("account.deleted")
    await platform.record(rare, *(event() for _ in range(400)))
    async with platform.database.sessions.begin() as session:
        await session.execute(text("ANALYZE records"))
    before = await _rows_read(platform)
    wide = {"since": Timestamp(), "until": Timestamp(seconds=253_402_300_799)}
    for filters in ({"action": "account"}, {"actor_id": rare.actor_id}, {"object_id": rare.object_id}):
        assert await numbers(platform, **filters, **wide, page_size=1) == [1]
    assert await _rows_read(platform) - before < 100


async def _rows_read(platform: Platform) -> int:
    """How many rows of the log were read one after the other, so far."""
    async with platform.database.sessions() as session:
        await session.execute(text("SELECT pg_stat_force_next_flush()"))
        query = text("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'records'")
        return int(await session.scalar(query) or 0)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (LIST(actor_id="ada", owner_id="x", page_size=-1), {"actor_id", "owner_id", "page_size"}),
        (
            LIST(action="cat", since=Timestamp(seconds=10), until=Timestamp(seconds=10), page_size=-1, actor_id="x"),
            {"action", "until", "page_size", "actor_id"},
        ),
        (LIST(since=Timestamp(seconds=-(10**15)), until=Timestamp(seconds=10**15)), {"since", "until"}),
        (LIST(action="a\nb", object_id="x" * 201, object_type="\0"), {"action", "object_id", "object_type"}),
    ],
)
async def test_wrong_filters(platform: Platform, request_: LIST, fields: set[str]) -> None:
    """Every wrong filter is named, with what would be right."""
    async with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        await page(platform, request_)
    assert set(refusal.violations) == fields


async def test_for_administrators_alone(platform: Platform) -> None:
    """Nobody else reads the log, whoever it is about."""
    for token in (platform.tokens.user(), platform.tokens.service("generation")):
        async with refused("PERMISSION_DENIED"):
            await page(platform, LIST(), token)
