"""Figures as the command line shows them."""

from rich.console import Console, RenderableType

from mirage.activity.v1 import statistics_pb2 as pb
from mirage.cli import stats
from mirage.records.statistics import Dashboard, Performance, SystemStatistics, Usage


def shown(drawn: RenderableType) -> str:
    """What a person would read."""
    console = Console(width=200, markup=False)
    with console.capture() as capture:
        console.print(drawn)
    return capture.get()


def dashboard() -> pb.Dashboard:
    """Two jobs in two days."""
    return pb.Dashboard(
        period=pb.Period(days=2),
        datasets=3,
        jobs=pb.JobStates(succeeded=1, failed=1),
        success_rate=0.5,
        mean_quality=0.875,
        recent_jobs=[pb.RecentJob(job_id="job-7", state="succeeded", model_type="ctgan", quality_score=0.875)],
        trend=[pb.DayActivity(date="2026-11-20", jobs_created=2), pb.DayActivity(date="2026-11-21", jobs_created=1)],
        notes=["The dataset service could not be asked: what is stored is left out."],
    )


def test_a_dashboard_is_shown() -> None:
    """An overview shows what there is, what isn't known, and the days as bars."""
    text = shown(stats._dashboard(Dashboard(dashboard())))
    for words in ("1 succeeded, 1 failed", "50.0%", "0.875", "job-7", "ctgan", "█▄", "could not be asked"):
        assert words in text
    assert "stored" not in text.partition("latest jobs")[0]


def test_nothing_is_shown_as_nothing() -> None:
    """Figures of somebody who has done nothing yet are shown without a number that isn't there."""
    for drawn in (
        stats._dashboard(Dashboard(pb.Dashboard())),
        stats._usage(Usage(pb.Usage())),
        stats._performance(Performance(pb.Performance())),
        stats._system(SystemStatistics(pb.SystemStatistics())),
    ):
        assert "None" not in shown(drawn)


def test_performance_is_shown() -> None:
    """Durations are told in milliseconds, sizes by class; a stream has no duration."""
    told = pb.Performance(
        routes=[
            pb.RoutePerformance(
                route="GET /stats/usage", requests=7, p50_seconds=0.0123, p95_seconds=0.5, p99_seconds=1
            ),
            pb.RoutePerformance(route="GET /notifications/watch", requests=2),
        ],
        models=[
            pb.ModelPerformance(
                model_type="tvae",
                minimum_rows=1000,
                maximum_rows=9999,
                succeeded=4,
                training_seconds=pb.Distribution(count=4, p50=61),
            )
        ],
        searches=[pb.SearchPerformance(method="bayesian", stopped=1, mean_gain=0.25)],
    )
    text = shown(stats._performance(Performance(told)))
    for words in ("12.3 ms", "1,000.0 ms", "1,000 to 9,999", "1 min 01 s", "bayesian", "0.25"):
        assert words in text
