"""What the figures are made of, and how: an overview, usage, what went how fast and how well."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.activity.rollups import EVERYBODY, Standing
from services.activity.statistics import repository, requests
from services.activity.statistics.histograms import Histogram
from services.activity.statistics.periods import Period
from services.activity.statistics.repository import Active, Day, Facet
from services.activity.statistics.requests import Route

JOB_STATES: Mapping[int, str] = {
    1: "queued",
    2: "awaiting_approval",
    3: "queued",
    4: "running",
    5: "cancelled",
    6: "rejected",
    7: "failed",
    8: "succeeded",
}
"""Where a job stands, by how far its records say it has come (`rank_of` of the database)."""

ACTIVITY_CLASSES = (1, 10, 100, 1_000)
"""The fewest events of each class of users."""

_RECENT = 10
_BUSIEST = 10
_USAGE = ("session_seconds", "dataset_bytes", "dataset_format", "dataset_rows", "model_type")
_ACCOUNTS = ("account.registered", "account.deleted")
_MODELS = ("job.succeeded", "job.failed", "training_seconds", "peak_memory_bytes")
_SEARCHES = ("study.succeeded", "study.stopped", "study.failed")


@dataclass(frozen=True)
class Overview:
    """What there is, and how it developed."""

    datasets: int
    jobs: Mapping[str, int]  # by state
    recent: Sequence[Standing]
    days: Sequence[Day]


@dataclass(frozen=True)
class UsageFigures:
    """How the platform is used."""

    days: Sequence[Day]
    session_seconds: Histogram
    dataset_bytes: Histogram
    formats: Mapping[str, int]
    dataset_rows: Mapping[str, int]  # by class of sizes
    model_types: Mapping[str, int]


@dataclass(frozen=True)
class Users:
    """Who came, went, and was active."""

    registered: int
    deleted: int
    active: Active


@dataclass
class ModelFigures:
    """How jobs of one type of model on tables of one size went."""

    succeeded: Facet | None = None
    failed: int = 0
    training_seconds: Histogram = field(default_factory=Histogram)
    peak_memory_bytes: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True)
class PerformanceFigures:
    """How fast and how well things went."""

    routes: Sequence[Route]
    models: Mapping[tuple[str, ...], ModelFigures]  # by type of model and class of sizes
    searches: Mapping[str, Mapping[str, Facet]]  # by method, by how they ended


async def overview(session: AsyncSession, scope_id: UUID, days: Sequence[Day]) -> Overview:
    """What there is of somebody's, or everybody's; `days` are theirs."""
    standings = await repository.standings_of(session, scope_id)
    jobs = dict.fromkeys(JOB_STATES.values(), 0)
    for (object_type, rank), count in standings.items():
        if object_type == "job":
            jobs[JOB_STATES[rank]] += count
    datasets = sum(count for (object_type, _), count in standings.items() if object_type == "dataset")
    return Overview(datasets, jobs, await repository.latest_jobs(session, scope_id, _RECENT), days)


async def usage(session: AsyncSession, scope_id: UUID, period: Period, days: Sequence[Day]) -> UsageFigures:
    """How somebody, or everybody, used the platform; `days` are theirs."""
    facets = await repository.facets_of(session, scope_id, period, _USAGE)
    return UsageFigures(
        days,
        histogram(facets, "session_seconds"),
        histogram(facets, "dataset_bytes"),
        _counts(facets, "dataset_format"),
        _counts(facets, "dataset_rows"),
        _counts(facets, "model_type"),
    )


async def users(session: AsyncSession, period: Period) -> Users:
    """Who came, went, and was active."""
    facets = await repository.facets_of(session, EVERYBODY, period, _ACCOUNTS)
    counted = {facet.facet: facet.count for facet in facets}
    active = await repository.active_users(session, period, ACTIVITY_CLASSES, _BUSIEST)
    return Users(counted.get("account.registered", 0), counted.get("account.deleted", 0), active)


async def performance(session: AsyncSession, scope_id: UUID, period: Period) -> PerformanceFigures:
    """How fast and how well somebody's, or everybody's, things went."""
    models: dict[tuple[str, ...], ModelFigures] = {}
    searches: dict[str, dict[str, Facet]] = {}
    for facet in await repository.facets_of(session, scope_id, period, (*_MODELS, *_SEARCHES)):
        if facet.facet in _SEARCHES:
            searches.setdefault(facet.label[0], {})[facet.facet.partition(".")[2]] = facet
            continue
        figures = models.setdefault(facet.label[:2], ModelFigures())
        if facet.facet == "job.succeeded":
            figures.succeeded = facet
        elif facet.facet == "job.failed":
            figures.failed = facet.count
        elif facet.facet == "training_seconds":
            figures.training_seconds.add(int(facet.label[2]), facet.count, facet.total)
        else:
            figures.peak_memory_bytes.add(int(facet.label[2]), facet.count, facet.total)
    return PerformanceFigures(await requests.routes_of(session, scope_id, period), models, searches)


def histogram(facets: Iterable[Facet], name: str) -> Histogram:
    """The distribution of a number, whose bucket is the last part of a label."""
    made = Histogram()
    for facet in facets:
        if facet.facet == name:
            made.add(int(facet.label[-1]), facet.count, facet.total)
    return made


def _counts(facets: Iterable[Facet], name: str) -> dict[str, int]:
    """How often there was what, the most frequent first."""
    found = [(facet.label[0], facet.count) for facet in facets if facet.facet == name]
    return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))
