"""What a column of text can turn out to be: for each, which text it holds and what value that text is, as SQL.

In the SQL, `$t` stands for the text without the spaces around it. A candidate holds a text only if nothing of it is
lost: no leading zero, no digit beyond what the type keeps, no date that isn't in the calendar.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from servicekit.column_types import ColumnType
from servicekit.tabular.text import MISSING_TOKENS, NUMBER_PATTERN

WEAK_TOKENS = ("", "None", "none", "-", "--", "?", ".", *MISSING_TOKENS)
"""Texts that stand for a missing value in a column whose other values are all numbers, dates or booleans."""

LARGEST_EXACT = 2**53
"""Beyond it a double skips integers."""

_INTEGER = r"0|-?[1-9][0-9]{0,18}"
_INFINITY = r"[+-]?(inf|Inf|INF|infinity|Infinity|INFINITY)"
_TIME = r"([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6}0*)?)?"
_ZONE = r"\s?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_YEAR = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"  # there is no year 0
_ISO_DAY = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
_NUMBERED_DAY = "[0-9]{1,2}{s}[0-9]{1,2}{s}" + _YEAR


@dataclass(frozen=True)
class Candidate:
    """A kind of values that text can be."""

    name: str
    type: ColumnType
    arrow: pa.DataType
    pattern: str  # what every such text matches as a whole, for RE2 and for Python alike
    value: str  # SQL over `$t`; null where there is no such value
    condition: str = ""  # SQL over `$t`: what else must be; empty for: that there is a value
    day_first: bool | None = None  # of dates that could be read either way: which this is

    def holds(self, text: str) -> str:
        """SQL: whether some text, itself SQL and not null, is one of these; never null."""
        condition = self.condition or f"({self.value}) IS NOT NULL"
        return f"(regexp_full_match($t, '{self.pattern}') AND {condition})".replace("$t", text)

    def read(self, text: str) -> str:
        """SQL: the value of some text, itself SQL, that is one of these."""
        return self.value.replace("$t", text)


def _moments() -> Iterator[Candidate]:
    day, moment = ColumnType.DATE, ColumnType.DATETIME
    date, clock, instant = pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC")
    yield Candidate("iso day", day, date, _ISO_DAY, "TRY_CAST($t AS DATE)")
    yield Candidate("iso moment", moment, clock, f"{_ISO_DAY}([T ]{_TIME})?", "TRY_CAST($t AS TIMESTAMP)")
    value = "TRY_CAST(replace($t, 'Z', '+00') AS TIMESTAMPTZ)"
    yield Candidate("iso instant", moment, instant, f"{_ISO_DAY}[T ]{_TIME}{_ZONE}", value)
    named_day = "[0-9]{1,2}[- ][A-Za-z]{3}[- ]" + _YEAR
    value = "CAST(try_strptime(replace($t, ' ', '-'), '%d-%b-%Y') AS DATE)"
    yield Candidate("day-name-year", day, date, named_day, value)
    orders = [
        ("year/month/day", _YEAR + "/[0-9]{1,2}/[0-9]{1,2}", "%Y/%m/%d", None),
        ("day.month.year", _NUMBERED_DAY.replace("{s}", r"\."), "%d.%m.%Y", None),
        ("day/month/year", _NUMBERED_DAY.replace("{s}", "/"), "%d/%m/%Y", True),
        ("month/day/year", _NUMBERED_DAY.replace("{s}", "/"), "%m/%d/%Y", False),
        ("day-month-year", _NUMBERED_DAY.replace("{s}", "-"), "%d-%m-%Y", True),
        ("month-day-year", _NUMBERED_DAY.replace("{s}", "-"), "%m-%d-%Y", False),
    ]
    for name, pattern, order, day_first in orders:
        value = f"CAST(try_strptime($t, '{order}') AS DATE)"
        yield Candidate(name, day, date, pattern, value, day_first=day_first)
        times = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
        value = f"try_strptime($t, [{', '.join(repr(f'{order} {time}') for time in times)}])"
        timed = f"{pattern} {_TIME}( ?[AaPp][Mm])?"
        yield Candidate(f"{name} time", moment, clock, timed, value, day_first=day_first)


def _boolean(name: str, yes: str, no: str) -> Candidate:
    return Candidate(name, ColumnType.BOOLEAN, pa.bool_(), f"(?i)({yes}|{no})", f"lower($t) = '{yes}'", "true")


# Digits alone must be exact in a double; what has a point or an exponent is as near as doubles come.
_IN_RANGE = f"TRY_CAST($t AS BIGINT) BETWEEN {-LARGEST_EXACT} AND {LARGEST_EXACT}"  # abs() fails for the smallest
_EXACT = f"(regexp_matches($t, '[.,eEnN]') OR coalesce({_IN_RANGE}, false))"
_DOUBLE = "TRY_CAST($t AS DOUBLE)"

BOOLEAN = _boolean("true or false", "true", "false")
INTEGER = Candidate("integer", ColumnType.INTEGER, pa.int64(), _INTEGER, "TRY_CAST($t AS BIGINT)")
FLOAT = Candidate(
    "number", ColumnType.FLOAT, pa.float64(), NUMBER_PATTERN, _DOUBLE, f"({_EXACT} AND isfinite({_DOUBLE}))"
)
# Infinity is no number that could be learned or averaged: it is missing.
FLOAT_OR_INFINITE = Candidate(
    "number or infinity",
    ColumnType.FLOAT,
    pa.float64(),
    f"({NUMBER_PATTERN})|{_INFINITY}",
    f"CASE WHEN isfinite({_DOUBLE}) THEN {_DOUBLE} END",
    f"({_EXACT} AND {_DOUBLE} IS NOT NULL)",
)
DECIMAL_COMMA = Candidate(
    "number with a decimal comma",
    ColumnType.FLOAT,
    pa.float64(),
    "-?(0|[1-9][0-9]*)(,[0-9]+)?([eE][+-]?[0-9]{1,3})?",
    "TRY_CAST(replace($t, ',', '.') AS DOUBLE)",
    f"({_EXACT} AND isfinite(TRY_CAST(replace($t, ',', '.') AS DOUBLE)))",
)
GROUPED = "regexp_full_match(t, '-?[1-9][0-9]{0,2}(,[0-9]{3})+|-?[0-9]+')"
"""SQL over `t`: whether it is a number whose commas could as well stand between its thousands."""

MOMENTS = tuple(_moments())
ISO_DAY, ISO_MOMENT, ISO_INSTANT = MOMENTS[:3]

LONG_NUMBER = Candidate("number of any length", ColumnType.TEXT, pa.string(), NUMBER_PATTERN, "$t")
"""What tells numbers that no type here keeps exactly; a column of them is text."""

INFERRED = (BOOLEAN, INTEGER, FLOAT, FLOAT_OR_INFINITE, DECIMAL_COMMA, *MOMENTS)
"""What is looked for without being asked, the first that holds every value being taken."""

_WHOLE = Candidate(
    "whole number",
    ColumnType.INTEGER,
    pa.int64(),
    NUMBER_PATTERN,
    f"CAST({_DOUBLE} AS BIGINT)",
    f"coalesce({_DOUBLE} = round({_DOUBLE}) AND abs({_DOUBLE}) <= {LARGEST_EXACT}, false)",
)
_MIDNIGHT = Candidate(
    "moment at midnight", ColumnType.DATE, pa.date32(), _ISO_DAY + r"[T ]0?0:00(:00(\.0+)?)?", "TRY_CAST($t AS DATE)"
)

REQUIRED = {
    ColumnType.BOOLEAN: (
        BOOLEAN, _boolean("yes or no", "yes", "no"), _boolean("1 or 0", "1", "0"),
        _boolean("t or f", "t", "f"), _boolean("y or n", "y", "n"),
    ),
    ColumnType.INTEGER: (INTEGER, _WHOLE),
    ColumnType.FLOAT: (FLOAT, FLOAT_OR_INFINITE, DECIMAL_COMMA),
    ColumnType.DATE: (*(candidate for candidate in MOMENTS if candidate.type is ColumnType.DATE), _MIDNIGHT),
    ColumnType.DATETIME: (
        *(candidate for candidate in MOMENTS if candidate.type is ColumnType.DATETIME),
        *(
            replace(day, type=ColumnType.DATETIME, arrow=pa.timestamp("us"), value=f"CAST({day.value} AS TIMESTAMP)")
            for day in MOMENTS if day.type is ColumnType.DATE
        ),
    ),
}  # fmt: skip
"""What a type set by hand may be made of, the first that holds every value being taken."""

DESCRIPTIONS = {
    ColumnType.BOOLEAN: "true or false, yes or no, 1 or 0",
    ColumnType.INTEGER: "whole numbers without leading zeros, within 64 bits",
    ColumnType.FLOAT: "numbers",
    ColumnType.DATE: "dates, all written alike, such as 2024-02-29",
    ColumnType.DATETIME: "dates with times, all written alike, such as 2024-02-29 12:30:00",
}
"""What each of these types holds, in words."""
