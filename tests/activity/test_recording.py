"""Events into the log: each once, in one order, whatever is sent."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from grpc.aio import AioRpcError
from structlog.testing import capture_logs

from mirage.activity.v1 import event_pb2, event_pb2_grpc
from servicekit.timestamps import to_timestamp, utc_now
from tests.activity.platform import Platform, event


async def test_an_event_is_stored_as_it_was_told(platform: Platform) -> None:
    """Everything that an event says is in its record, with its source, its place and the time it came."""
    sent = event()
    before = utc_now()
    answer = await platform.record(sent, service="dataset", sent_time=to_timestamp(utc_now()))
    assert (answer.recorded, answer.known, len(answer.refused)) == (1, 0, 0)
    [record] = await platform.records()
    assert (record.seq, record.service, record.kind) == (1, "dataset", "job.succeeded")
    assert (str(record.event_id), str(record.actor_id), str(record.owner_id)) == (
        sent.event_id,
        sent.actor_id,
        sent.owner_id,
    )
    assert (record.actor_role, record.object_type, record.object_id) == ("user", "job", sent.object_id)
    assert record.related == dict(sent.related)
    assert record.attributes == {"rows": 5000, "quality_score": 0.875, "versions": {"torch": "2.13.0"}}
    assert (record.request_id, record.trace_id) == (sent.request_id, sent.trace_id)
    assert before <= record.recorded_time <= utc_now()
    assert record.clock_offset_seconds is None


async def test_twice_is_once(platform: Platform) -> None:
    """An event that is sent again, be it in the same message, by many at once or later, is stored once."""
    first, second = event(), event()
    await platform.record(first, first)
    answers = await asyncio.gather(*(platform.record(first, second) for _ in range(8)))
    assert sum(answer.recorded for answer in answers) == 1
    assert sum(answer.known for answer in answers) == 15
    assert [str(record.event_id) for record in await platform.records()] == [first.event_id, second.event_id]


async def test_many_sources_at_once(platform: Platform) -> None:
    """Whoever sends at the same time, numbers have no gaps and no doubles, and each source's order is kept."""
    batches = [[event() for _ in range(20)] for _ in range(10)]
    await asyncio.gather(*(platform.record(*batch, service=f"s{n}") for n, batch in enumerate(batches)))
    records = await platform.records()
    assert [record.seq for record in records] == list(range(1, 201))
    place = {str(record.event_id): record.seq for record in records}
    for batch in batches:
        seqs = [place[sent.event_id] for sent in batch]
        assert seqs == sorted(seqs)
    times = [record.recorded_time for record in records]
    assert times == sorted(times)


async def test_unknown_kinds_are_kept(platform: Platform) -> None:
    """A kind that the platform doesn't know is stored like any other, and told in the log."""
    with capture_logs() as lines:
        await platform.record(event("telescope.pointed"), event())
    assert [record.kind for record in await platform.records()] == ["telescope.pointed", "job.succeeded"]
    assert [line["kind"] for line in lines if line["event"] == "unknown_event_kind"] == ["telescope.pointed"]


async def test_out_of_order(platform: Platform) -> None:
    """What happened earlier and comes later is stored later, with the time at which it happened."""
    now = utc_now()
    late, early = event(occurred_time=now), event(occurred_time=now - timedelta(minutes=10))
    await platform.record(late)
    await platform.record(early, sent_time=to_timestamp(now))
    records = await platform.records()
    assert [str(record.event_id) for record in records] == [late.event_id, early.event_id]
    assert records[1].occurred_time == now - timedelta(minutes=10)
    assert records[0].recorded_time <= records[1].recorded_time
    assert [record.clock_offset_seconds for record in records] == [None, None]  # held up isn't a clock that is off


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_an_hour_off(platform: Platform, hours: int) -> None:
    """A source whose clock is an hour off is believed what it says, and flagged; the order is that of arrival."""
    off = utc_now() + timedelta(hours=hours)
    await platform.record(event())
    with capture_logs() as lines:
        await platform.record(event(occurred_time=off), sent_time=to_timestamp(off))
    await platform.record(event())
    records = await platform.records()
    assert [record.seq for record in records] == [1, 2, 3]
    assert [record.recorded_time for record in records] == sorted(record.recorded_time for record in records)
    assert records[1].occurred_time == off
    assert records[1].clock_offset_seconds == pytest.approx(hours * 3600, abs=60)
    assert [line["service_name"] for line in lines if line["event"] == "clock_off"] == ["generation"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"event_id": "7"}, "event_id"),
        ({"actor_id": "ada"}, "actor_id"),
        ({"owner_id": str(uuid4()).replace("-", "")}, "owner_id"),
        ({"occurred_time": None}, "occurred_time"),
        ({"object_id": "x" * 201}, "object_id"),
        ({"object_id": "\0"}, "object_id"),
        ({"related": {"user_id": "ada"}}, "related.user_id"),
        ({"object_type": "account", "object_id": "ada"}, "object_id"),
        ({"personal": {"file_name": "x" * 300_000}}, "event"),
    ],
)
async def test_a_malformed_event_stops_no_other(platform: Platform, fields: dict[str, Any], named: str) -> None:
    """What can't be stored is named with what is wrong; what came before and behind it is stored."""
    before, wrong, behind = event(), event(**fields), event()
    answer = await platform.record(before, wrong, behind)
    [refused] = answer.refused
    assert (refused.index, refused.event_id) == (1, wrong.event_id)
    assert refused.description.startswith(f"{named}: must")
    assert [str(record.event_id) for record in await platform.records()] == [before.event_id, behind.event_id]


@pytest.mark.parametrize("kind", ["", "job", "Job.Succeeded", "job.", "a.b.c", "job.succeeded\n", "1.2"])
async def test_a_kind_is_noun_and_verb(platform: Platform, kind: str) -> None:
    """A kind that is written otherwise is refused."""
    answer = await platform.record(event(kind))
    assert answer.refused[0].description.startswith("kind: must be a noun and a verb")
    assert await platform.count() == 0


async def test_numbers_stay_what_they_are(platform: Platform) -> None:
    """Numbers of any size come back as the doubles that they were."""
    numbers = {"whole": 3, "half": 0.5, "large": 2.0**53, "huge": 1e300, "small": 5e-324, "below": -(2.0**60)}
    await platform.record(event(attributes=numbers))
    [record] = await platform.records()
    assert {name: float(number) for name, number in record.attributes.items()} == numbers


async def test_what_has_no_spelling_is_told(platform: Platform) -> None:
    """What neither JSON nor the database can hold is stored as what can be read, and loses no event."""
    await platform.record(event(attributes={"loss": float("nan"), "deep": [{"a\0": "b\0"}]}, related={"job_id": "\0"}))
    [record] = await platform.records()
    assert record.attributes == {"loss": "NaN", "deep": [{"a\ufffd": "b\ufffd"}]}
    assert record.related == {"job_id": "\ufffd"}


async def test_too_many_at_once(platform: Platform) -> None:
    """A request with more events than one may have is refused, and nothing of it is stored."""
    with pytest.raises(AioRpcError) as refused:
        await platform.record(*(event() for _ in range(1001)))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await platform.count() == 0


async def test_nobody_may_say_who_they_are(platform: Platform) -> None:
    """The source is who sends it, by their token, and people can't send any."""
    await platform.record(event(), service="optimizer")
    assert [record.service for record in await platform.records()] == ["optimizer"]
    stub = event_pb2_grpc.EventServiceStub(platform.channel)
    bearer = (("authorization", f"Bearer {platform.tokens.administrator()}"),)
    with pytest.raises(AioRpcError) as refused:
        await stub.RecordEvents(event_pb2.RecordEventsRequest(events=[event()]), metadata=bearer)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
