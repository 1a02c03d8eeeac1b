"""Faker as if every day were the same: many of its national numbers hold birthdays, which it counts back from today.

What a seed gives must not depend on when it is asked.
"""

import datetime
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, Self

from faker.providers import BaseProvider

THE_DAY: Final = datetime.date(2025, 1, 1)
_FIRST_DAY: Final = datetime.date(1970, 1, 1)


class Birthdays(BaseProvider):
    """Days of the past, for providers that ask Faker for some; the names and ranges are those of its own provider."""

    def date_of_birth(self, tzinfo: object = None, minimum_age: int = 0, maximum_age: int = 115) -> datetime.date:
        """The birthday of somebody of this age, in years."""
        del tzinfo
        oldest = THE_DAY.replace(year=THE_DAY.year - maximum_age - 1) + datetime.timedelta(days=1)
        return self._between(oldest, THE_DAY.replace(year=THE_DAY.year - minimum_age))

    def date(self, pattern: str = "%Y-%m-%d") -> str:
        """A day since 1970, written by a pattern of `strftime`."""
        return self.date_object().strftime(pattern)

    def date_object(self) -> datetime.date:
        """A day since 1970."""
        return self._between(_FIRST_DAY, THE_DAY)

    def date_time(self) -> datetime.datetime:
        """A day since 1970, with a time."""
        return datetime.datetime.combine(self.date_object(), datetime.time())

    def _between(self, first: datetime.date, last: datetime.date) -> datetime.date:
        return first + datetime.timedelta(days=self.random_int(0, (last - first).days))


class _Date(datetime.date):
    @classmethod
    def today(cls) -> Self:
        """The day that it always is."""
        return cls(THE_DAY.year, THE_DAY.month, THE_DAY.day)


class _DateTime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        """The beginning of the day that it always is."""
        return cls(THE_DAY.year, THE_DAY.month, THE_DAY.day, tzinfo=tz)


def _calendar() -> ModuleType:
    """The module `datetime` on that day."""
    module = ModuleType("datetime")
    vars(module).update(vars(datetime), date=_Date, datetime=_DateTime)
    return module


_CALENDAR: Final = _calendar()


@contextmanager
def the_same_day(generator: Any) -> Iterator[None]:
    """What makes a generator's national numbers and looks at the calendar by itself sees that day meanwhile.

    Such providers use the module `datetime` under that name; where they don't, nothing is put in its place.
    """
    classes = [class_ for each in generator.get_providers() for class_ in type(each).__mro__]
    makers = {class_.__module__ for class_ in classes if class_.__module__.startswith("faker.providers.ssn.")}
    spaces = [vars(sys.modules[maker]) for maker in makers]
    before = [(space, space["datetime"]) for space in spaces if isinstance(space.get("datetime"), ModuleType)]
    for space, _ in before:
        space["datetime"] = _CALENDAR
    try:
        yield
    finally:
        for space, module in before:
            space["datetime"] = module
