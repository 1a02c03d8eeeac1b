"""`mirage stats`."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from mirage.cli import output
from mirage.cli.session import Session, command
from mirage.progress import duration, size
from mirage.records.statistics import Dashboard, DayActivity, Performance, SystemStatistics, Usage

_BARS = " ▁▂▃▄▅▆▇█"
_PERFORMANCE_DAYS = 7
_DAYS = 30


class View(StrEnum):
    """What can be shown."""

    DASHBOARD = "dashboard"
    USAGE = "usage"
    PERFORMANCE = "performance"
    SYSTEM = "system"


def add_to(app: typer.Typer) -> None:
    """Adds the command to the whole."""
    app.command(rich_help_panel="Account")(stats)


@command
def stats(
    session: Session,
    view: Annotated[View, typer.Argument(help="What to show; system is for administrators.")] = View.DASHBOARD,
    days: Annotated[int | None, typer.Option("--days", help="How many days, today among them.")] = None,
    time_zone: Annotated[
        str, typer.Option("--time-zone", help="Where days begin and end, such as Europe/Vienna; else UTC.")
    ] = "",
) -> None:
    """Show figures: your datasets and jobs, how you use the platform, how fast it is."""
    told = session.client.stats
    match view:
        case View.DASHBOARD:
            dashboard = told.dashboard(days or _DAYS, time_zone)
            session.output.result(dashboard.to_dict(), lambda: _dashboard(dashboard))
        case View.USAGE:
            usage = told.usage(days or _DAYS, time_zone)
            session.output.result(usage.to_dict(), lambda: _usage(usage))
        case View.PERFORMANCE:
            performance = told.performance(days or _PERFORMANCE_DAYS, time_zone)
            session.output.result(performance.to_dict(), lambda: _performance(performance))
        case View.SYSTEM:
            system = told.system(days or _DAYS, time_zone)
            session.output.result(system.to_dict(), lambda: _system(system))


def _dashboard(told: Dashboard) -> RenderableType:
    stored = told.storage
    facts = output.facts(
        [
            ("datasets", told.datasets),
            ("jobs", _listed(told.jobs) or "none"),
            (f"succeeded, {told.period.days} days", _share(told.success_rate)),
            ("mean quality", output.number(told.mean_quality)),
            ("stored", stored and f"{size(stored.dataset_bytes)} datasets, {size(stored.generation_bytes)} generated"),
            ("jobs by day", _spark([day.jobs_created for day in told.trend])),
            ("events by day", _spark([day.events for day in told.trend])),
        ]
    )
    jobs = output.table(
        ["latest jobs", "state", "model", "#rows", "#quality", "started"],
        [
            (
                job.id,
                output.state(job.state),
                job.model_type,
                output.number(job.rows),
                output.number(job.quality_score),
                output.when(job.create_time),
            )
            for job in told.recent_jobs
        ],
        empty="No jobs yet.",
    )
    return Group(facts, Text(), jobs, *(Text(note, style="yellow") for note in told.notes))


def _usage(told: Usage) -> RenderableType:
    sessions, files = told.session_seconds, told.dataset_bytes
    facts = output.facts(
        [
            ("events", f"{told.events:,} in {told.period.days} days"),
            ("sessions", sessions.count and f"{sessions.count}, half of them up to {duration(sessions.p50 or 0)}"),
            ("formats", _listed(told.formats)),
            ("rows of datasets", _listed(told.dataset_rows)),
            ("files", files.count and f"{files.count}, half of them up to {size(files.p50 or 0)}"),
            ("model types", _listed(told.model_types)),
        ]
    )
    return Group(facts, Text(), _days(told.activity))


def _days(days: Sequence[DayActivity]) -> RenderableType:
    return output.table(
        ["day", "#events", "#sign-ins", "#uploads", "#jobs", "#succeeded", "#failed", "#downloads", "#searches"],
        [
            (day.date, day.events, day.sign_ins, day.uploads, day.jobs_created, day.jobs_succeeded, day.jobs_failed,
             day.downloads, day.searches)
            for day in days
            if day.events
        ],
        empty="Nothing has happened.",
    )  # fmt: skip


def _performance(told: Performance) -> RenderableType:
    routes = output.table(
        ["route", "#requests", "#now", "#errors", "#failures", "#p50", "#p95", "#p99"],
        [
            (each.route or each.rpc, each.requests, each.in_flight, each.errors, each.failures,
             *map(_milliseconds, (each.p50_seconds, each.p95_seconds, each.p99_seconds)))
            for each in told.routes
        ],
        empty="No requests were counted.",
    )  # fmt: skip
    models = output.table(
        ["model", "rows of the table", "#succeeded", "#failed", "#quality", "#training p50", "#memory p50"],
        [
            (each.model_type, each.rows, each.succeeded, each.failed, output.number(each.mean_quality),
             "" if each.training_seconds.p50 is None else duration(each.training_seconds.p50),
             "" if each.peak_memory_bytes.p50 is None else size(each.peak_memory_bytes.p50))
            for each in told.models
        ],
        empty="No job has ended.",
    )  # fmt: skip
    searches = output.table(
        ["search", "#succeeded", "#stopped", "#failed", "#mean gain"],
        [
            (each.method, each.succeeded, each.stopped, each.failed, output.number(each.mean_gain))
            for each in told.searches
        ],
        empty="No search has ended.",
    )
    return Group(routes, Text(), models, Text(), searches)


def _system(told: SystemStatistics) -> RenderableType:
    work, users = told.workload, told.users
    facts = output.facts(
        [
            ("at work", work and f"{work.running_jobs} jobs, {work.queue_length} waiting, {work.workers} workers"),
            ("users", f"{users.active} active, {users.registered} came, {users.deleted} left"),
        ]
    )
    busiest = output.table(["busiest users", "#events"], [(each.user_id, each.events) for each in users.busiest])
    return Group(facts, _dashboard(told.dashboard), Text(), _usage(told.usage), Text(), busiest)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:,.1f} ms"


def _spark(counts: Sequence[int]) -> str:
    """Counts as a row of bars, the first day to the left; nothing where all are 0."""
    most = max(counts, default=0)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts).strip() if most else ""
