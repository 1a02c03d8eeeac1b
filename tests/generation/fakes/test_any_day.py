"""The same seed gives the same on any day."""

import datetime
import sys
from types import ModuleType
from typing import Self

import pyarrow as pa
import pytest
from faker.config import AVAILABLE_LOCALES

from tests.generation.fakes.tables import invented

# One of each way in which Faker asks what day it is.
_TELLING = ["el_GR", "et_EE", "fi_FI", "no_NO", "pl_PL", "sr_BA", "sv_SE", "uk_UA", "zh_CN"]


class _Date(datetime.date):
    @classmethod
    def today(cls) -> Self:
        """Some other day."""
        return cls(2031, 5, 17)


class _DateTime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        """A moment of it."""
        return cls(2031, 5, 17, 3, tzinfo=tz)


def _on_another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets all of Faker see another day."""
    calendar = ModuleType("datetime")
    vars(calendar).update(vars(datetime), date=_Date, datetime=_DateTime)
    for name, module in list(sys.modules.items()):
        if name.startswith("faker.providers.") and hasattr(module, "datetime"):
            monkeypatch.setattr(module, "datetime", calendar if isinstance(module.datetime, ModuleType) else _DateTime)


@pytest.mark.parametrize(
    "locale",
    [
        *_TELLING,
        *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(AVAILABLE_LOCALES) if name not in _TELLING),
    ],
)
def test_national_ids(locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """National ids, which many countries begin with the birthday, don't depend on the day they are made on."""
    source = {"national_id": pa.array([f"{number}" for number in range(10**9, 10**9 + 40)])}
    today = invented(source, locale)
    _on_another_day(monkeypatch)
    assert invented(source, locale) == today
    assert len(set(today["national_id"])) == 40
