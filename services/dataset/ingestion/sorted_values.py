"""The values of a column of numbers, dates or times, sorted in memory: everything about them is read off them then."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from servicekit.tabular.text import as_text
from services.dataset.ingestion.values import MOST_DECIMAL_PLACES, QUANTILES, Numbers, Top

_LARGEST_SQUARED = 1e150  # larger numbers are scaled before they are squared
_SURE = 2.0**51  # larger multiples of a number could be rounded to a whole number
_PIECE = 500_000
_SPELLED_AT_ONCE = 10_000
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_SECONDS = 86_400

Array = np.ndarray[Any, np.dtype[Any]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def can_be_sorted(kind: pa.DataType) -> bool:
    """Whether a column of this type can be held as an array of numbers."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_date32(kind) or types.is_timestamp(kind))


class SortedValues:
    """Values of a type that `can_be_sorted`. Memory: about three times 8 bytes for each."""

    def __init__(self, parts: Iterable[pa.Array], kind: pa.DataType, rows: int) -> None:
        self.kind = kind
        self.rows = rows
        values = np.empty(rows, _storage(kind).to_pandas_dtype())
        count = 0
        for part in parts:
            there = pc.drop_null(part)
            values[count : count + len(there)] = _plain(there)
            count += len(there)
        self._values: Array = values[:count]
        if pa.types.is_floating(kind):
            self._values += 0.0  # zeros with a minus become plain ones
        self._values.sort()
        is_first = np.ones(count, bool)
        np.not_equal(self._values[1:], self._values[:-1], out=is_first[1:])
        self._starts: Array = np.flatnonzero(is_first)
        self._numbers: Floats | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._values)

    @property
    def distinct(self) -> int:
        """How many different ones."""
        return len(self._starts)

    @property
    def whole_extremes(self) -> tuple[int, int] | None:
        """The smallest and the largest of integers; None if there are none."""
        return (int(self._values[0]), int(self._values[-1])) if self.count else None

    def top(self, number: int) -> list[Top]:
        """The most frequent ones; equally frequent ones in their order."""
        if not self.count:
            return []
        if self.distinct == self.count:
            number = min(number, self.count)
            return self._shown(np.arange(number), np.ones(number, np.int64))
        counts = np.diff(self._starts, append=self.count)
        number = min(number, len(counts))
        least = np.partition(counts, -number)[-number]
        above = np.flatnonzero(counts > least)
        level = np.flatnonzero(counts == least)[: number - len(above)]
        above = above[np.argsort(-counts[above], kind="stable")]
        chosen = np.concatenate([above, level])
        return self._shown(chosen, counts[chosen])

    def _shown(self, chosen: Array, counts: Array) -> list[Top]:
        """Some of the different values, as text."""
        values = pa.array(self._values[self._starts[chosen]]).cast(_storage(self.kind)).cast(self.kind)
        return list(itertools.starmap(Top, zip(as_text(values).to_pylist(), counts.tolist(), strict=True)))

    def numbers(self) -> Numbers:
        """What numbers are like; there must be some."""
        values = self._as_numbers()
        minimum, maximum = float(values[0]), float(values[-1])
        size = max(abs(minimum), abs(maximum))
        scale = size if size > _LARGEST_SQUARED else 1.0
        mean = math.fsum(_pieces(values, lambda piece: float((piece / scale).sum()))) / len(values)
        squares = math.fsum(_pieces(values, lambda piece: float(((piece / scale - mean) ** 2).sum())))
        # Of values that are all the same the mean may differ by a rounding.
        deviation = math.sqrt(squares / (len(values) - 1)) if minimum != maximum else 0.0
        return Numbers(
            minimum=minimum,
            maximum=maximum,
            mean=mean * scale,
            standard_deviation=min(deviation * scale, float(np.finfo(np.float64).max)),
            quantiles=tuple(_quantile(values, share) for share in QUANTILES),
            decimal_places=self._decimal_places(),
        )

    def moments(self) -> tuple[str, str, float, float]:
        """The first and the last of dates or times: as text, and in seconds since 1970."""
        ends = pa.array(self._values[[0, -1]]).cast(_storage(self.kind)).cast(self.kind)
        earliest, latest = as_text(ends).to_pylist()
        numbers = self._as_numbers()
        return earliest, latest, float(numbers[0]), float(numbers[-1])

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """How many numbers, or moments in seconds since 1970, are between edges that enclose them all."""
        numbers = self._as_numbers()
        below = np.searchsorted(numbers, edges[1:-1], side="left").tolist()
        return [after - before for before, after in itertools.pairwise([0, *below, len(numbers)])]

    def _as_numbers(self) -> Floats:
        """Sorted; moments in seconds since 1970."""
        if self._numbers is None:
            numbers: Floats = self._values.astype(np.float64, copy=False)
            if pa.types.is_timestamp(self.kind):
                numbers = numbers / _PER_SECOND[self.kind.unit]
            elif pa.types.is_date(self.kind):
                numbers = numbers * _DAY_SECONDS
            self._numbers = numbers
        return self._numbers

    def _decimal_places(self) -> int:
        """The most digits behind the point in the shortest spelling of any number.

        A number has a spelling with p digits behind the point if it is the one nearest to k / 10^p for a whole k.
        """
        if not pa.types.is_floating(self.kind):
            return 0
        left = self._values[self._starts]
        places = 0
        for digits in range(MOST_DECIMAL_PLACES + 1):
            wide = left.astype(np.float64, copy=False)
            with np.errstate(over="ignore", invalid="ignore"):
                multiples = wide * 10.0**digits
                fits = ((np.rint(multiples) / 10.0**digits).astype(left.dtype) == left) & (
                    (np.abs(multiples) < _SURE) | (digits == 0)
                )
            if fits.any():
                places = digits
                left = left[~fits]
            if not len(left) or _spelled_places(left[:100]) >= MOST_DECIMAL_PLACES:
                break
        return max(places, _spelled_places(left))


def _storage(kind: pa.DataType) -> pa.DataType:
    """The type of the numbers that values are kept as."""
    if pa.types.is_date32(kind):
        return pa.int32()
    return pa.int64() if pa.types.is_timestamp(kind) else kind


def _plain(values: pa.Array) -> Array:
    plain: Array = values.cast(_storage(values.type)).to_numpy()
    return plain


def _pieces(values: Floats, told: Callable[[Floats], float]) -> Iterator[float]:
    """What is told of some values after the others, so that little memory is taken for it."""
    return (told(values[start : start + _PIECE]) for start in range(0, len(values), _PIECE))


def _quantile(values: Floats, share: float) -> float:
    """Between the two nearest values, linearly (Hyndman and Fan 1996, definition 7)."""
    position = (len(values) - 1) * share
    index = int(position)
    below, above = float(values[index]), float(values[min(index + 1, len(values) - 1)])
    part = position - index
    step = above - below
    return below + step * part if np.isfinite(step) else below * (1 - part) + above * part


def _spelled_places(values: Array) -> int:
    """The most digits behind the point in the shortest spellings of floats; MOST_DECIMAL_PLACES at most."""
    places = 0
    for start in range(0, len(values), _SPELLED_AT_ONCE):
        for value in values[start : start + _SPELLED_AT_ONCE]:
            digits, _, exponent = str(value).partition("e")
            fraction = digits.partition(".")[2]
            length = 0 if fraction == "0" else len(fraction)
            places = max(places, length - int(exponent or 0))
        if places >= MOST_DECIMAL_PLACES:
            return MOST_DECIMAL_PLACES
    return places
