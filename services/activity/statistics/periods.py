"""Days in somebody's time zone, and the spans of time by which counts are kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from google.protobuf.message import Message

from servicekit import limits
from servicekit.errors import InvalidRequest, Violation

_UTC = "UTC"
_DAY = timedelta(days=1)
_NO_ZONE = "must be the name of a time zone, such as Europe/Vienna, or empty"


def counted_in(table: str, columns: str, whose: str) -> str:
    """Columns of a table of counts in a period, as SQL: `whose` is a condition; `Period.bounds` are the other values.

    A branch for each part, so that the database reads just that from its index.
    """
    parts = (("quarter", "start", "first"), ("day", "first", "last"), ("quarter", "last", "end"))
    branches = (
        f"SELECT {columns} FROM {table} WHERE {whose} AND span = '{span}' AND start >= :{since} AND start < :{till}"  # noqa: S608 - of our own words
        for span, since, till in parts
    )
    return f"({' UNION ALL '.join(branches)}) AS counted"


@dataclass(frozen=True)
class Period:
    """Whole days of a time zone, one after the other."""

    zone: str
    dates: tuple[date, ...]
    starts: tuple[datetime, ...]  # in UTC: when each day begins
    end: datetime  # in UTC: when the last one ends

    @property
    def start(self) -> datetime:
        """When the first day begins."""
        return self.starts[0]

    @property
    def bounds(self) -> dict[str, datetime]:
        """The same time as few counts: quarters of an hour up to `first`, days of UTC up to `last`, and quarters again.

        Every time zone's days begin at a quarter of an hour of UTC, so nothing is cut in two.
        """
        first, last = _midnight_from(self.start), _midnight_to(self.end)
        if first > last:  # within one day
            first = last = self.end
        return {"start": self.start, "first": first, "last": last, "end": self.end}


def asked_period(message: Message, *, default_days: int, now: datetime) -> Period:
    """The period that a request names by its `time_zone` and `days`, which may be unset.

    Raises:
        InvalidRequest: with every wrong field.
    """
    violations = list(limits.violations(message))
    zone: str = message.time_zone or _UTC  # type: ignore[attr-defined]  # four messages have these two fields
    if zone not in _zones() and not any(violation.field == "time_zone" for violation in violations):
        violations.append(Violation("time_zone", _NO_ZONE))
    if violations:
        raise InvalidRequest(violations)
    return period_of(zone, message.days or default_days, now)  # type: ignore[attr-defined]


def period_of(zone: str, days: int, now: datetime) -> Period:
    """The last `days` days of a time zone, with the one on which `now` is."""
    info = ZoneInfo(zone)
    today = now.astimezone(info).date()
    dates = tuple(today - _DAY * back for back in range(days - 1, -1, -1))
    return Period(zone, dates, tuple(_beginnings(dates, info)), _beginning(today + _DAY, info))


def _beginnings(dates: Iterable[date], zone: ZoneInfo) -> Iterable[datetime]:
    return (_beginning(each, zone) for each in dates)


def _beginning(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins. Where midnight is skipped it is the moment of the change; where it comes twice, the first."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _midnight_to(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _midnight_from(moment: datetime) -> datetime:
    midnight = _midnight_to(moment)
    return midnight if midnight == moment else midnight + _DAY


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
