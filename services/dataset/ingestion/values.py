"""The values of one column, for its profile: what is asked of them, and the answers by SQL, in bounded memory."""

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import duckdb
import pyarrow as pa

from servicekit.tabular.text import as_text
from services.dataset.ingestion.database import counted, one_row

EXACT_QUANTILE_ROWS = 5_000_000
"""In larger tables quantiles are estimated, in bounded memory."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MOST_DECIMAL_PLACES = 15
"""More aren't told from noise."""

_LONG = 64  # mean characters

_IS_UUID = "regexp_full_match({}, '[0-9a-fA-F]{{8}}(-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}')"

_IS_SENTENCE = r"regexp_matches({}, '\S\s+\S+\s+\S+\s+\S')"


class Top(NamedTuple):
    """A frequent value."""

    text: str
    times: int


class Numbers(NamedTuple):
    """What numbers are like."""

    minimum: float
    maximum: float
    mean: float
    standard_deviation: float  # of a sample; 0 for a single number
    quantiles: tuple[float, ...]  # at QUANTILES
    decimal_places: int


class Lengths(NamedTuple):
    """Characters of strings."""

    shortest: int
    longest: int
    mean: float


class Values(Protocol):
    """The values of a column of a type, missing ones aside; none of them is infinite."""

    rows: int  # of the column
    kind: pa.DataType

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def distinct(self) -> int:
        """How many different ones."""

    @property
    def whole_extremes(self) -> tuple[int, int] | None:
        """The smallest and the largest of integers; None if there are none."""

    def top(self, number: int) -> list[Top]:
        """The most frequent ones; equally frequent ones in their order."""

    def numbers(self) -> Numbers:
        """What numbers are like; there must be some."""

    def moments(self) -> tuple[str, str, float, float]:
        """The first and the last of dates or times: as text, and in seconds since 1970."""

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """How many numbers, or moments in seconds since 1970, are between edges that enclose them all."""


class QueriedValues:
    """Values of any type, asked for by SQL: `name` is selected from `source`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, source: str, name: str, kind: pa.DataType, rows: int
    ) -> None:
        self.kind = kind
        self.rows = rows
        self._connection = connection
        self._source = source
        self._name = name

    @cached_property
    def count(self) -> int:
        """How many there are."""
        [count] = self._one(f"count({self._name})")
        return int(count)

    @cached_property
    def distinct(self) -> int:
        """How many different ones."""
        # As a subquery rather than count(DISTINCT v): so it can work on disk where memory is short. Long strings it
        # would hold all the same, so they are told apart by their MD5.
        is_long = pa.types.is_string(self.kind) and self.lengths is not None and self.lengths.mean > _LONG
        value = f"md5_number({self._name})" if is_long else self._name
        different = f"SELECT DISTINCT {value} FROM {self._source} WHERE {self._name} IS NOT NULL"
        [distinct] = one_row(self._connection, f"SELECT count(*) FROM ({different})")
        return int(distinct)

    @property
    def whole_extremes(self) -> tuple[int, int] | None:
        """The smallest and the largest of integers; None if there are none."""
        smallest, largest = self._one(f"min({self._name}), max({self._name})")
        return None if smallest is None else (smallest, largest)

    def top(self, number: int) -> list[Top]:
        """The most frequent ones; equally frequent ones in their order."""
        found = self._connection.sql(
            f"SELECT {self._name} AS value, count(*) AS count FROM {self._source} WHERE {self._name} IS NOT NULL "
            f"GROUP BY value ORDER BY count DESC, value LIMIT {number}"
        ).to_arrow_table()
        texts = as_text(found["value"].combine_chunks()).to_pylist()
        return list(itertools.starmap(Top, zip(texts, found["count"].to_pylist(), strict=True)))

    def numbers(self) -> Numbers:
        """What numbers are like; there must be some."""
        value = self._number
        quantile = "quantile_cont" if self.rows <= EXACT_QUANTILE_ROWS else "approx_quantile"
        shares = ", ".join(map(str, QUANTILES))
        found = self._one(
            f"min({value}), max({value}), avg({value}), stddev_samp({value}), "
            f"{quantile}({value}, [{shares}]), {self._decimal_places()}"
        )
        minimum, maximum, mean, deviation, quantiles, places = found
        places = min(places, MOST_DECIMAL_PLACES)
        return Numbers(minimum, maximum, mean, deviation or 0.0, tuple(quantiles), places)

    def moments(self) -> tuple[str, str, float, float]:
        """The first and the last of dates or times: as text, and in seconds since 1970."""
        extremes = f"SELECT min({self._name}) AS a, max({self._name}) AS b FROM {self._source}"
        found = self._connection.sql(extremes).to_arrow_table()
        [earliest] = as_text(found["a"].combine_chunks()).to_pylist()
        [latest] = as_text(found["b"].combine_chunks()).to_pylist()
        first, last = self._one(f"min({self._number}), max({self._number})")
        return earliest, latest, float(first), float(last)

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """How many numbers, or moments in seconds since 1970, are between edges that enclose them all."""
        below = ", ".join(counted(f"{self._number} < {edge!r}::DOUBLE") for edge in edges[1:-1])
        total, *inner = self._one(f"count({self._number}){', ' if below else ''}{below}")
        return [after - before for before, after in itertools.pairwise([0, *inner, total])]

    @cached_property
    def lengths(self) -> Lengths | None:
        """The lengths of the values as text; None if there are none."""
        length = f"length(CAST({self._name} AS VARCHAR))"
        shortest, longest, mean = self._one(f"min({length}), max({length}), avg({length})")
        return None if shortest is None else Lengths(shortest, longest, mean)

    def with_spaces(self) -> int:
        """How many strings have white space inside."""
        [found] = self._one(counted(f"regexp_matches({self._name}, '\\s')"))
        return int(found)

    def lone_sentences(self) -> int:
        """How many strings of at least four words occur only once."""
        lone = (
            f"SELECT {self._name} FROM {self._source} WHERE {self._name} IS NOT NULL "
            f"GROUP BY {self._name} HAVING count(*) = 1"
        )
        found = f"SELECT {counted(_IS_SENTENCE.format(self._name))} FROM ({lone})"
        [sentences] = one_row(self._connection, found)
        return int(sentences)

    def uuids(self) -> int:
        """How many strings are UUIDs."""
        [found] = self._one(counted(_IS_UUID.format(self._name)))
        return int(found)

    @property
    def _number(self) -> str:
        if pa.types.is_temporal(self.kind):
            return f"epoch(CAST({self._name} AS TIMESTAMPTZ))"
        return f"CAST({self._name} AS DOUBLE)"

    def _decimal_places(self) -> str:
        """SQL: the most digits behind the point in the shortest spelling of any value of the column."""
        if not pa.types.is_floating(self.kind):
            return "0"
        spelled = f"CAST({self._name} AS VARCHAR)"
        fraction = f"split_part(split_part({spelled}, 'e', 1), '.', 2)"
        digits = f"CASE WHEN {fraction} = '0' THEN 0 ELSE length({fraction}) END"
        exponent = f"coalesce(TRY_CAST(split_part({spelled}, 'e', 2) AS INTEGER), 0)"
        return f"max(greatest(0, {digits} - {exponent}))"

    def _one(self, expressions: str) -> tuple[Any, ...]:
        return one_row(self._connection, f"SELECT {expressions} FROM {self._source}")
