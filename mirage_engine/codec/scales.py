"""How a number's values stand in a row: as whole steps from the least one, or as real numbers.

Whole numbers, decimals, dates and times are steps, and so are floating-point numbers that all have few decimals: prices
keep their two, ages stay whole, and what came in thousands is drawn in thousands.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mirage_engine.codec.cells import Keys
from mirage_engine.codec.column import Range
from mirage_engine.codec.integers import Integers, from_integers, is_exact, is_temporal, to_integers
from mirage_engine.randomness import closed_uniforms, scaled

MOST_DECIMALS = 12
_WORD = 2**64


class Scale(Protocol):
    """Values as sortable keys, and keys as values."""

    def keys(self, values: pa.Array) -> tuple[Keys, NDArray[np.bool_]]:
        """Keys of finite values, and which of the values lie in the source's range; each of shape (rows,)."""

    def values(self, keys: Keys) -> pa.Array:
        """The values of keys."""

    def between(self, low: Keys, high: Keys, raw: NDArray[np.uint64]) -> Keys:
        """A key from `low` to `high`, both included, chosen evenly by random words."""

    def bounds(self, within: Range) -> tuple[Any, Any]:
        """The least and the largest key in a range. Raises ValueError if its ends are of another kind."""

    def log_widths(self, low: Keys, high: Keys) -> NDArray[np.float64]:
        """Natural logarithm of how many keys, or what stretch of real numbers, lie from `low` to `high`."""

    def to_json(self) -> dict[str, Any]:
        """All there is to it, for `scale_from_json`."""


def scale_for(values: pa.Array) -> Scale:
    """The scale of a column's finite values, of which there is at least one."""
    kind = values.type
    if is_exact(kind):
        return Steps.of(to_integers(values), kind, decimals=None)
    numbers = _doubles(values)
    for decimals in range(MOST_DECIMALS + 1):
        integers = _shifted(numbers, decimals)
        if integers is None:
            break
        if bool(np.all(_unshifted(integers, decimals, kind) == numbers)):
            return Steps.of(integers, kind, decimals)
    return Reals(kind, float(numbers.min()), float(numbers.max()))


def scale_from_json(about: dict[str, Any], kind: pa.DataType) -> Scale:
    """A scale as it was before `to_json`."""
    if about["kind"] == "reals":
        return Reals(kind, about["least"], about["largest"])
    return Steps(kind, about["origin"], about["step"], about["count"], about["decimals"])


@dataclass(frozen=True)
class Steps:
    """Values that lie on a grid: `origin` + key · `step`, for keys 0 … `count`.

    `decimals` is how many decimal places a floating-point number is moved to become an integer; None for types that
    are exact by themselves.
    """

    kind: pa.DataType
    origin: int
    step: int
    count: int
    decimals: int | None

    @classmethod
    def of(cls, integers: Integers, kind: pa.DataType, decimals: int | None) -> "Steps":
        """The coarsest grid on which all of some integers lie."""
        origin, largest = int(integers.min()), int(integers.max())
        step = _common_step(_distances(integers, origin)) or 1
        return cls(kind, origin, step, (largest - origin) // step, decimals)

    @property
    def wide(self) -> bool:
        """Whether keys need more than 64 bits."""
        return self.count * self.step >= _WORD

    def keys(self, values: pa.Array) -> tuple[Keys, NDArray[np.bool_]]:
        """Steps from the origin; what lies outside the source's range gets the origin's key."""
        if self.decimals is None:
            integers = to_integers(values)
            if not _fits_a_word(self.origin, self._largest):
                integers = integers.astype(object)
            inside = (integers >= self.origin) & (integers <= self._largest)
        else:
            numbers = _doubles(values)
            moved = np.rint(numbers * 10.0**self.decimals)
            inside = (moved >= self.origin) & (moved <= self._largest)
            integers = np.where(inside, moved, self.origin).astype(np.int64)
        inside = np.asarray(inside, dtype=np.bool_)
        integers = np.where(inside, integers, np.asarray(self.origin, dtype=integers.dtype))
        distances = _distances(integers, self.origin)
        if self.wide:
            return distances.astype(object) // self.step, inside
        return distances.astype(np.uint64) // np.uint64(self.step), inside

    def values(self, keys: Keys) -> pa.Array:
        """`origin` + key · `step`."""
        integers: Integers
        if not _fits_a_word(self.origin, self._largest):
            integers = keys.astype(object) * self.step + self.origin
        else:  # modulo 2^64, where a sum that is in range comes out right
            integers = keys * np.uint64(self.step) + np.uint64(self.origin % _WORD)
            if not pa.types.is_unsigned_integer(self.kind):
                integers = integers.view(np.int64)
        if self.decimals is None:
            return from_integers(integers, self.kind)
        return pa.array(_unshifted(integers, self.decimals, self.kind)).cast(self.kind, safe=False)

    def between(self, low: Keys, high: Keys, raw: NDArray[np.uint64]) -> Keys:
        """Each step from `low` to `high` is as likely as the others."""
        if self.wide:
            return np.asarray(low + (raw.astype(object) * (high - low + 1) // _WORD))
        return np.asarray(low + scaled(raw, high - low))

    def bounds(self, within: Range) -> tuple[int, int]:
        """The least and largest key in a range, 0 … `count` at the most; the former is larger if there is none."""
        low, high = 0, self.count
        if within.low is not None:
            low = max(low, math.ceil((self._exactly(within.low) - self.origin) / self.step))
        if within.high is not None:
            high = min(high, math.floor((self._exactly(within.high) - self.origin) / self.step))
        return low, high

    def log_widths(self, low: Keys, high: Keys) -> NDArray[np.float64]:
        """Logarithm of how many steps there are."""
        return np.log(np.asarray(high - low, dtype=np.float64) + 1.0)

    def to_json(self) -> dict[str, Any]:
        """Integers of any size are written out."""
        return {
            "kind": "steps",
            "origin": self.origin,
            "step": self.step,
            "count": self.count,
            "decimals": self.decimals,
        }

    @property
    def _largest(self) -> int:
        return self.origin + self.count * self.step

    def _exactly(self, value: Any) -> Fraction:
        """A bound, which needn't lie on the grid, in units of the column's integers."""
        if is_temporal(self.kind):
            if not isinstance(value, date | datetime | time | timedelta | str):
                raise ValueError(f"give a value of type {self.kind}, not {value!r}")
            try:
                exact = pa.array([value]).cast(self.kind) if isinstance(value, str) else pa.array([value], self.kind)
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise ValueError(f"{value!r} is no value of type {self.kind}") from error
            return Fraction(int(to_integers(exact)[0]))
        number = _fraction(value)
        if pa.types.is_decimal(self.kind):
            return number * _ten_to(self.kind.scale)
        return number * _ten_to(self.decimals or 0)


@dataclass(frozen=True)
class Reals:
    """Floating-point numbers without a grid, `least` … `largest`; a key is the number itself."""

    kind: pa.DataType
    least: float
    largest: float

    def keys(self, values: pa.Array) -> tuple[Keys, NDArray[np.bool_]]:
        """The numbers, in double precision."""
        numbers = _doubles(values)
        return numbers, (numbers >= self.least) & (numbers <= self.largest)

    def values(self, keys: Keys) -> pa.Array:
        """The numbers in the column's own precision, which keeps them between two numbers of that precision."""
        return _floats(keys, self.kind)

    def between(self, low: Keys, high: Keys, raw: NDArray[np.uint64]) -> Keys:
        """Evenly spread; written so that the distance of two huge numbers can't overflow."""
        part = closed_uniforms(raw)
        return np.asarray(np.clip(low * (1.0 - part) + high * part, low, high))

    def bounds(self, within: Range) -> tuple[float, float]:
        """The range's ends, none further out than the source's."""
        low = self.least if within.low is None else max(self.least, float(_fraction(within.low)))
        high = self.largest if within.high is None else min(self.largest, float(_fraction(within.high)))
        return low, high

    def log_widths(self, low: Keys, high: Keys) -> NDArray[np.float64]:
        """Logarithm of the stretch; 0 for a single number, which has a probability, not a density."""
        half = high / 2 - low / 2  # the whole of it may overflow
        return np.where(half > 0, np.log(np.where(half > 0, half, 1.0)) + math.log(2.0), 0.0)

    def to_json(self) -> dict[str, Any]:
        """JSON keeps double precision exactly."""
        return {"kind": "reals", "least": self.least, "largest": self.largest}


def _doubles(values: pa.Array) -> NDArray[np.float64]:
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _floats(numbers: NDArray[np.float64], kind: pa.DataType) -> pa.Array:
    return pa.array(numbers.astype(kind.to_pandas_dtype()))


def _shifted(numbers: NDArray[np.float64], decimals: int) -> NDArray[np.int64] | None:
    """Numbers as integers, so many places moved; None beyond 2^53, where double precision has no fractions left."""
    moved = np.rint(numbers * 10.0**decimals)
    return moved.astype(np.int64) if bool(np.all(np.abs(moved) < 2.0**53)) else None


def _unshifted(integers: Integers, decimals: int, kind: pa.DataType) -> NDArray[np.float64]:
    """The nearest numbers of a precision, which is what reading them as text gives: both parts are exact."""
    exact = integers.astype(np.float64) / 10.0**decimals
    return np.asarray(exact.astype(kind.to_pandas_dtype()).astype(np.float64))


def _distances(integers: Integers, origin: int) -> Integers:
    """Integers less the least of them. 64 bits hold any two of 64 bits' distance if it is taken without a sign."""
    if integers.dtype == object:
        return integers - origin
    return integers.view(np.uint64) - np.uint64(origin % _WORD)


def _fits_a_word(least: int, largest: int) -> bool:
    """Whether integers of 64 bits, with or without a sign, hold a column's values: all but some decimals."""
    return least >= -(2**63) and largest < (2**63 if least < 0 else _WORD)


def _common_step(distances: Integers) -> int:
    return int(np.gcd.reduce(distances)) if distances.dtype != object else math.gcd(*distances.tolist())


def _ten_to(power: int) -> Fraction:
    return Fraction(10**power) if power >= 0 else Fraction(1, 10**-power)


def _fraction(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal | np.integer | np.floating):
        raise ValueError(f"give a number, not {value!r}")  # noqa: TRY004 one kind of error for all that a caller gave
    try:
        return Fraction(str(value))  # a decimal means what it reads, not its nearest binary fraction
    except ValueError as error:
        raise ValueError(f"give a number, not {value!r}") from error
