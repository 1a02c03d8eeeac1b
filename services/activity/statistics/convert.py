"""Figures as they are told. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from mirage.activity.v1 import statistics_pb2 as pb
from mirage.generation.v1 import job_pb2
from servicekit.timestamps import to_timestamp
from services.activity.rollups import Standing
from services.activity.statistics.figures import (
    ACTIVITY_CLASSES,
    JOB_STATES,
    ModelFigures,
    Overview,
    PerformanceFigures,
    UsageFigures,
    Users,
)
from services.activity.statistics.histograms import Histogram
from services.activity.statistics.periods import Period
from services.activity.statistics.repository import Day, Facet
from services.activity.statistics.requests import Route
from services.activity.statistics.routes import routes

# The fewest rows of each class of sizes (`size_class` of the database), and the most.
_SIZES: Mapping[str, Mapping[str, int]] = {
    "unknown": {},
    "0": {"minimum_rows": 0, "maximum_rows": 999},
    "1000": {"minimum_rows": 1_000, "maximum_rows": 9_999},
    "10000": {"minimum_rows": 10_000, "maximum_rows": 99_999},
    "100000": {"minimum_rows": 100_000, "maximum_rows": 999_999},
    "1000000": {"minimum_rows": 1_000_000},
}


def dashboard(period: Period, figures: Overview) -> pb.Dashboard:
    """An overview, without what is stored."""
    succeeded = sum(day.jobs_succeeded for day in figures.days)
    ended = succeeded + sum(day.jobs_failed for day in figures.days)
    return pb.Dashboard(
        period=_period(period),
        datasets=figures.datasets,
        jobs=pb.JobStates(**figures.jobs),
        success_rate=succeeded / ended if ended else None,
        mean_quality=_mean_quality(figures.days),
        recent_jobs=[_recent(job) for job in figures.recent],
        trend=_days(period, figures.days),
    )


def usage(period: Period, figures: UsageFigures) -> pb.Usage:
    """How the platform is used."""
    return pb.Usage(
        period=_period(period),
        events=sum(day.events for day in figures.days),
        activity=_days(period, figures.days),
        session_seconds=_distribution(figures.session_seconds),
        formats=_named(figures.formats),
        dataset_rows=[
            pb.SizeCount(count=figures.dataset_rows[size], **bounds)
            for size, bounds in _SIZES.items()
            if size in figures.dataset_rows
        ],
        dataset_bytes=_distribution(figures.dataset_bytes),
        model_types=_named(figures.model_types),
    )


def user_activity(figures: Users) -> pb.UserActivity:
    """Who came, went, and was active."""
    ends = [following - 1 for following in ACTIVITY_CLASSES[1:]]
    return pb.UserActivity(
        registered=figures.registered,
        deleted=figures.deleted,
        active=sum(figures.active.classes),
        classes=[
            pb.ActivityClass(minimum_events=least, maximum_events=most, users=users)
            for least, most, users in zip(ACTIVITY_CLASSES, [*ends, None], figures.active.classes, strict=True)
        ],
        busiest=[pb.BusyUser(user_id=str(user), events=count) for user, count in figures.active.busiest],
    )


def workload(figures: job_pb2.Workload) -> pb.Workload:
    """What generation does now."""
    return pb.Workload(
        running_jobs=figures.at_work,
        queue_length=figures.waiting,
        oldest_wait_seconds=figures.oldest_wait_seconds,
        workers=figures.workers,
    )


def performance(period: Period, figures: PerformanceFigures) -> pb.Performance:
    """How fast and how well things went."""
    places = list(_SIZES)
    models = sorted(figures.models.items(), key=lambda each: (each[0][0], places.index(each[0][1])))
    return pb.Performance(
        period=_period(period),
        routes=[_route(route) for route in figures.routes],
        models=[_model(model_type, size, each) for (model_type, size), each in models],
        searches=[_search(method, endings) for method, endings in sorted(figures.searches.items())],
    )


def _period(period: Period) -> pb.Period:
    return pb.Period(
        start_time=to_timestamp(period.start),
        end_time=to_timestamp(period.end),
        time_zone=period.zone,
        days=len(period.dates),
    )


def _days(period: Period, days: Sequence[Day]) -> list[pb.DayActivity]:
    return [
        pb.DayActivity(
            date=date.isoformat(),
            events=day.events,
            sign_ins=day.sign_ins,
            uploads=day.uploads,
            jobs_created=day.jobs_created,
            jobs_succeeded=day.jobs_succeeded,
            jobs_failed=day.jobs_failed,
            jobs_cancelled=day.jobs_cancelled,
            downloads=day.downloads,
            model_samples=day.model_samples,
            reports_viewed=day.reports_viewed,
            searches=day.searches,
            mean_quality=_mean_quality([day]),
        )
        for date, day in zip(period.dates, days, strict=True)
    ]


def _mean_quality(days: Iterable[Day]) -> float | None:
    days = list(days)
    judged = sum(day.judged for day in days)
    return float(sum((day.quality_total for day in days), Decimal(0)) / judged) if judged else None


def _recent(job: Standing) -> pb.RecentJob:
    return pb.RecentJob(
        job_id=job.object_id,
        state=JOB_STATES[job.rank],
        model_type="" if job.model_type in (None, "unknown") else job.model_type,
        create_time=to_timestamp(job.create_time),
        end_time=to_timestamp(job.end_time),
        quality_score=None if job.quality_score is None else float(job.quality_score),
        rows=None if job.rows is None else float(job.rows),
        owner_id=str(job.owner_id),
    )


def _distribution(histogram: Histogram) -> pb.Distribution:
    return pb.Distribution(
        count=histogram.count,
        mean=histogram.mean,
        p50=histogram.quantile(0.5),
        p95=histogram.quantile(0.95),
        p99=histogram.quantile(0.99),
    )


def _named(counts: Mapping[str, int]) -> list[pb.NamedCount]:
    return [pb.NamedCount(name=name, count=count) for name, count in counts.items()]


def _route(route: Route) -> pb.RoutePerformance:
    return pb.RoutePerformance(
        route=routes().get(route.rpc, ""),
        rpc=route.rpc,
        requests=route.requests,
        in_flight=route.in_flight,
        request_bytes=route.request_bytes,
        response_bytes=route.response_bytes,
        errors=route.errors,
        failures=route.failures,
        mean_seconds=route.mean_seconds,
        p50_seconds=route.quantile(0.5),
        p95_seconds=route.quantile(0.95),
        p99_seconds=route.quantile(0.99),
    )


def _model(model_type: str, size: str, figures: ModelFigures) -> pb.ModelPerformance:
    succeeded = figures.succeeded
    count = succeeded.count if succeeded else 0
    return pb.ModelPerformance(
        model_type=model_type,
        succeeded=count,
        failed=figures.failed,
        success_rate=count / (count + figures.failed),
        mean_quality=_mean(succeeded),
        training_seconds=_distribution(figures.training_seconds),
        peak_memory_bytes=_distribution(figures.peak_memory_bytes),
        **_SIZES[size],
    )


def _search(method: str, endings: Mapping[str, Facet]) -> pb.SearchPerformance:
    counts = {name: endings[name].count if name in endings else 0 for name in ("succeeded", "stopped", "failed")}
    gained = sum(facet.measured for facet in endings.values())
    return pb.SearchPerformance(
        method=method,
        success_rate=(counts["succeeded"] + counts["stopped"]) / sum(counts.values()),
        mean_gain=float(sum(facet.total for facet in endings.values()) / gained) if gained else None,
        **counts,
    )


def _mean(facet: Facet | None) -> float | None:
    return float(facet.total / facet.measured) if facet and facet.measured else None
