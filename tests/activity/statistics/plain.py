"""Figures as plain counts over the log's records, which the service's must equal."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.activity.models import Record

_STATES = {
    "job.created": (1, "queued"),
    "job.approval_requested": (2, "awaiting_approval"),
    "job.approved": (3, "queued"),
    "job.started": (4, "running"),
    "job.cancelled": (5, "cancelled"),
    "job.rejected": (6, "rejected"),
    "job.failed": (7, "failed"),
    "job.succeeded": (8, "succeeded"),
    "job.deleted": (9, "deleted"),
}
_DAILY: dict[str, Callable[[str], bool]] = {
    "events": lambda _kind: True,
    "sign_ins": lambda kind: kind == "session.started",
    "uploads": lambda kind: kind in ("dataset.uploaded", "dataset.version_added"),
    "jobs_created": lambda kind: kind == "job.created",
    "jobs_succeeded": lambda kind: kind == "job.succeeded",
    "jobs_failed": lambda kind: kind == "job.failed",
    "jobs_cancelled": lambda kind: kind == "job.cancelled",
    "downloads": lambda kind: kind in ("table.downloaded", "dataset.exported", "model.downloaded"),
    "model_samples": lambda kind: kind == "model.sampled",
    "reports_viewed": lambda kind: kind == "report.viewed",
    "searches": lambda kind: kind == "study.created",
}


class PlainCount:
    """Counts the records of one owner, or of everybody."""

    def __init__(self, records: Iterable[Record], owner_id: UUID | None, zone: str, days: int, now: datetime) -> None:
        self._zone = ZoneInfo(zone)
        self.all = [record for record in records if owner_id in (None, record.owner_id)]
        today = now.astimezone(self._zone).date()
        self.dates = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
        self._by_date: dict[date, list[Record]] = {day: [] for day in self.dates}
        for record in self.all:
            if (day := moment_of(record).astimezone(self._zone).date()) in self._by_date:
                self._by_date[day].append(record)
        self.within = [record for records in self._by_date.values() for record in records]

    def datasets(self) -> int:
        """Datasets that were uploaded and not deleted."""
        gone = {(each.owner_id, each.object_id) for each in self._all_of("dataset.deleted")}
        there = {(each.owner_id, each.object_id) for each in self._all_of("dataset.uploaded") if each.owner_id}
        return len(there - gone)

    def states(self) -> Counter[str]:
        """Jobs by the furthest that any record says of them."""
        furthest: dict[tuple[UUID, str], tuple[int, str]] = {}
        for record in self.all:
            if record.kind in _STATES and record.owner_id:
                key = (record.owner_id, record.object_id)
                furthest[key] = max(furthest.get(key, (0, "")), _STATES[record.kind])
        return Counter(state for _, state in furthest.values() if state != "deleted")

    def recent(self) -> list[tuple[datetime, str]]:
        """When the latest jobs that aren't deleted were made, and which they are."""
        gone = {(each.owner_id, each.object_id) for each in self._all_of("job.deleted")}
        made: dict[tuple[UUID, str], datetime] = {}
        for record in self._all_of("job.created"):
            if record.owner_id and (key := (record.owner_id, record.object_id)) not in gone:
                made[key] = min(made.get(key, moment_of(record)), moment_of(record))
        return sorted(((when, job) for (_, job), when in made.items()), reverse=True)[:10]

    def trend(self) -> list[dict[str, Any]]:
        """What happened on each day."""
        days = []
        for day in self.dates:
            records = self._by_date[day]
            counts = {name: sum(is_one(record.kind) for record in records) for name, is_one in _DAILY.items()}
            days.append({"date": day.isoformat(), **counts, "mean_quality": mean(self.qualities(records))})
        return days

    def qualities(self, records: Iterable[Record]) -> list[Decimal]:
        """The scores of the tables that records tell of."""
        return numbers((r for r in records if r.kind == "job.succeeded"), "quality_score", most=1)

    def success_rate(self) -> float | None:
        """The share of the jobs that ended by themselves."""
        kinds = Counter(record.kind for record in self.within)
        ended = kinds["job.succeeded"] + kinds["job.failed"]
        return kinds["job.succeeded"] / ended if ended else None

    def of(self, *kinds: str) -> list[Record]:
        """The period's records of some kinds."""
        return [record for record in self.within if record.kind in kinds]

    def _all_of(self, kind: str) -> list[Record]:
        return [record for record in self.all if record.kind == kind]


def moment_of(record: Record) -> datetime:
    """When something happened, by the source's clock less what that is ahead."""
    return record.occurred_time - timedelta(seconds=record.clock_offset_seconds or 0.0)


def numbers(records: Iterable[Record], *place: str, most: float = 1e18) -> list[Decimal]:
    """The numbers at a place of records' attributes, as far as they are numbers and in range."""
    found = []
    for record in records:
        value: Any = record.attributes
        for name in place:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
            found.append(Decimal(repr(value)))
    return found


def word(record: Record, name: str) -> str:
    """A word of a record's attributes; `unknown` where there is none."""
    value = record.attributes.get(name)
    return value if isinstance(value, str) and 1 <= len(value) <= 100 else "unknown"


def size(record: Record, name: str) -> tuple[float | None, float | None]:
    """The bounds of the class of sizes to which the table of a record belongs."""
    found = numbers([record], name, most=1e15)
    if not found:
        return (None, None)
    bounds = [(0, 999), (1_000, 9_999), (10_000, 99_999), (100_000, 999_999), (1_000_000, None)]
    return next((least, most) for least, most in reversed(bounds) if found[0] >= least)


def mean(values: Sequence[Decimal]) -> float | None:
    """The mean of numbers, rounded once."""
    return float(sum(values, Decimal(0)) / len(values)) if values else None


def rank(values: Iterable[Decimal], share: float) -> float:
    """The number that a share of them doesn't exceed (the nearest rank)."""
    ordered = sorted(values)
    return float(ordered[max(1, math.ceil(Decimal(str(share)) * len(ordered))) - 1])
