"""Figures equal a plain count over the log, whatever came, in whichever order, and wherever days begin."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from mirage.activity.v1 import event_pb2, statistics_pb2_grpc
from mirage.activity.v1 import statistics_pb2 as pb
from servicekit.event_kinds import KNOWN
from servicekit.timestamps import to_timestamp, utc_now
from services.activity.models import Record
from services.activity.statistics.histograms import RELATIVE_ERROR
from tests.activity.platform import Platform, event
from tests.activity.statistics.plain import PlainCount, mean, numbers, rank, size, word

# Whole hours, halves and quarters of one; summer times of an hour and of half an hour, one that begins at midnight.
ZONES = (
    "UTC",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Santiago",
    "America/St_Johns",
    "Pacific/Chatham",
    "Europe/Vienna",
)
DAYS = 366
_STRANGE: tuple[Any, ...] = (None, "", "x" * 101, -1, 1.5, True, [], {}, 1e300)
_MODELS = ("ctgan", "tvae", "gaussian_copula")


def happenings(seed: int, count: int) -> Iterator[event_pb2.Event]:
    """Events of a few users' few objects over more than a year, some with attributes that are none."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    users = [str(UUID(int=chance.getrandbits(128))) for _ in range(4)]
    objects = [str(UUID(int=chance.getrandbits(128))) for _ in range(count // 12)]
    kinds = [*sorted(kind for kind in KNOWN if not kind.startswith("account.")), "telescope.pointed"]
    weights = [6 if kind.startswith(("job.", "dataset.uploaded")) else 1 for kind in kinds]
    now = utc_now()
    for kind in chance.choices(kinds, weights, k=count):
        owner = chance.choice([*users, ""])
        yield event(
            kind,
            occurred_time=now - timedelta(seconds=chance.choice([1, 60, 400]) * 86_400 * chance.random()),
            owner_id=owner,
            actor_id=chance.choice([owner, owner, ""]),
            object_type=kind.partition(".")[0],
            object_id=chance.choice(objects),
            attributes=_attributes(chance),
            personal={},
        )


def _attributes(chance: random.Random) -> dict[str, Any]:
    def some(*values: Any) -> Any:
        return chance.choice(values if chance.random() < 0.9 else _STRANGE)

    given = {
        "format": some("csv", "parquet", "xlsx"),
        "rows": some(0, 999, 1_000, 54_321, 123_456, 7_000_000),
        "bytes": some(0, 10, chance.randrange(10**9)),
        "source_rows": some(10, 9_999, 10_000, 1_000_000),
        "model_type": some(*_MODELS),
        "quality_score": some(chance.random(), 0, 1),
        "seconds": some({"training": some(chance.expovariate(0.01), 0)}, chance.expovariate(0.001)),
        "peak_memory_bytes": some(chance.randrange(10**10)),
        "method": some("bayesian", "random"),
        "gain": some(chance.random(), 0),
    }
    return {name: value for name, value in given.items() if chance.random() < 0.9}


async def _fill(platform: Platform, seed: int, count: int) -> None:
    """Records events in odd order, in batches of odd sizes, some twice, from sources some of whose clocks are off."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    events = list(happenings(seed, count))
    sent = [*events, *chance.choices(events, k=count // 5)]
    chance.shuffle(sent)
    while sent:
        batch = [sent.pop() for _ in range(min(len(sent), chance.randrange(1, 120)))]
        clock = utc_now() + timedelta(hours=chance.choice([0, 0, 0, -26, 5.3]))
        await platform.record(*batch, sent_time=to_timestamp(clock))
    assert await platform.count() == count


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
async def test_figures_equal_a_count_over_the_log(platform: Platform, seed: int) -> None:
    """Every figure of a user and of everybody is what counting the records gives, in seven time zones."""
    await _fill(platform, seed, 1_500)
    records = await platform.records()
    stub = statistics_pb2_grpc.StatisticsServiceStub(platform.channel)
    owner = next(record.owner_id for record in records if record.owner_id)
    own, all_of_it = _metadata(platform.tokens.user(owner)), _metadata(platform.tokens.administrator())
    for zone in ZONES:
        asked: dict[str, Any] = {"time_zone": zone, "days": DAYS}
        now = utc_now()
        system = await stub.GetSystemStatistics(pb.GetSystemStatisticsRequest(**asked), metadata=all_of_it)
        performance = await stub.GetPerformance(pb.GetPerformanceRequest(time_zone=zone, days=90), metadata=all_of_it)
        count = PlainCount(records, None, zone, DAYS, now)
        _assert_dashboard(system.dashboard, count)
        _assert_usage(system.usage, count)
        _assert_users(system.users, count)
        _assert_performance(performance, PlainCount(records, None, zone, 90, now))

        count = PlainCount(records, owner, zone, DAYS, now)
        _assert_dashboard(await stub.GetDashboard(pb.GetDashboardRequest(**asked), metadata=own), count)
        _assert_usage(await stub.GetUsage(pb.GetUsageRequest(**asked), metadata=own), count)
        answer = await stub.GetPerformance(pb.GetPerformanceRequest(time_zone=zone, days=90), metadata=own)
        _assert_performance(answer, PlainCount(records, owner, zone, 90, now))


def _assert_dashboard(told: pb.Dashboard, count: PlainCount) -> None:
    assert told.datasets == count.datasets()
    names = [field.name for field in pb.JobStates.DESCRIPTOR.fields]
    assert {name: getattr(told.jobs, name) for name in names} == {name: count.states()[name] for name in names}
    assert _optional(told, "success_rate") == count.success_rate()
    assert _optional(told, "mean_quality") == mean(count.qualities(count.within))
    assert [(_moment(job.create_time), job.job_id) for job in told.recent_jobs] == count.recent()
    _assert_days(told.trend, count)


def _assert_usage(told: pb.Usage, count: PlainCount) -> None:
    assert told.events == len(count.within)
    _assert_days(told.activity, count)
    uploaded, created = count.of("dataset.uploaded"), count.of("job.created")
    _assert_distribution(told.session_seconds, numbers(count.of("session.ended"), "seconds", most=1e12))
    _assert_distribution(told.dataset_bytes, numbers(uploaded, "bytes"))
    assert {each.name: each.count for each in told.formats} == Counter(word(each, "format") for each in uploaded)
    assert {each.name: each.count for each in told.model_types} == Counter(word(each, "model_type") for each in created)
    assert {_bounds(each): each.count for each in told.dataset_rows} == Counter(size(each, "rows") for each in uploaded)


def _assert_users(told: pb.UserActivity, count: PlainCount) -> None:
    actions = Counter(str(record.actor_id) for record in count.within if record.actor_id)
    assert told.active == len(actions)
    assert {each.user_id: each.events for each in told.busiest} == dict(actions.most_common(10))
    for each in told.classes:
        most = each.maximum_events if each.HasField("maximum_events") else float("inf")
        assert each.users == sum(each.minimum_events <= done <= most for done in actions.values())


def _assert_performance(told: pb.Performance, count: PlainCount) -> None:
    trained: dict[Any, list[Record]] = {}
    for record in count.of("job.succeeded", "job.failed"):
        trained.setdefault((word(record, "model_type"), size(record, "source_rows")), []).append(record)
    assert {(each.model_type, _bounds(each)) for each in told.models} == set(trained)
    for each in told.models:
        records = trained[each.model_type, _bounds(each)]
        succeeded = [record for record in records if record.kind == "job.succeeded"]
        assert (each.succeeded, each.failed) == (len(succeeded), len(records) - len(succeeded))
        assert each.success_rate == len(succeeded) / len(records)
        assert _optional(each, "mean_quality") == mean(count.qualities(succeeded))
        _assert_distribution(each.training_seconds, numbers(succeeded, "seconds", "training", most=1e12))
        _assert_distribution(each.peak_memory_bytes, numbers(succeeded, "peak_memory_bytes"))
    ended = count.of("study.succeeded", "study.stopped", "study.failed")
    assert {each.method for each in told.searches} == {word(record, "method") for record in ended}
    for search in told.searches:
        records = [record for record in ended if word(record, "method") == search.method]
        kinds = Counter(record.kind for record in records)
        assert (search.succeeded, search.stopped, search.failed) == tuple(
            kinds[f"study.{name}"] for name in ("succeeded", "stopped", "failed")
        )
        assert _optional(search, "mean_gain") == mean(numbers(records, "gain", most=1e15))


def _assert_days(told: Any, count: PlainCount) -> None:
    names = [field.name for field in pb.DayActivity.DESCRIPTOR.fields if field.name != "mean_quality"]
    days = [
        {**{name: getattr(day, name) for name in names}, "mean_quality": _optional(day, "mean_quality")} for day in told
    ]
    assert days == count.trend()


def _assert_distribution(told: pb.Distribution, values: list[Any]) -> None:
    assert told.count == len(values)
    assert _optional(told, "mean") == mean(values)
    if values:
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            assert getattr(told, name) == pytest.approx(rank(values, share), rel=RELATIVE_ERROR * 1.0001, abs=1e-9)


def _optional(message: Any, name: str) -> float | None:
    return getattr(message, name) if message.HasField(name) else None


def _bounds(message: Any) -> tuple[float | None, float | None]:
    return (_optional(message, "minimum_rows"), _optional(message, "maximum_rows"))


def _moment(timestamp: Any) -> datetime:
    moment: datetime = timestamp.ToDatetime(tzinfo=utc_now().tzinfo)
    return moment
