"""Numbers, dates and times as the numbers that a model learns, and back, exactly within the source's range."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from services.generation.tables.integers import (
    differences,
    from_integers,
    greatest_common_divisor,
    shifted,
    to_integers,
)

Floats = npt.NDArray[np.float64]

# Beyond this many decimal places a number is taken as one that was computed, and isn't rounded.
MOST_DECIMALS = 10
# The range that real numbers are learned in: large enough for a model that adds 1e-6 to variances not to notice.
REAL_SCALE = 1000.0


class WholeNumber(BaseModel):
    """Numbers on a grid: `offset + step × (0 … steps)`.

    Integers, dates, times and decimals. The step is the largest that reaches every value: days stay days, full hours
    full hours, thousands thousands. What is learned is the place on the grid.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["whole"] = "whole"
    offset: int
    step: int
    steps: int

    @classmethod
    def of(cls, array: pa.Array) -> "WholeNumber":
        """The grid of an array without missing values."""
        integers = to_integers(array)
        offset = int(integers.min())
        distances = differences(integers, offset)
        step = greatest_common_divisor(distances)
        return cls(offset=offset, step=step, steps=int(distances.max()) // step)

    def encode(self, array: pa.Array) -> Floats:
        """Places on the grid; beyond 2^53 the nearest that a float can say."""
        distances = differences(to_integers(array), self.offset)
        return np.asarray(distances // self._unsigned(self.step, distances), dtype=np.float64)

    def decode(self, places: Floats, type_: pa.DataType) -> pa.Array:
        """The values at the nearest places, none outside the grid."""
        nearest = np.rint(places)
        at_end = nearest >= float(self.steps)
        inside = np.where(at_end, 0.0, np.maximum(nearest, 0.0))
        steps = np.where(at_end, np.uint64(min(self.steps, 2**64 - 1)), inside.astype(np.uint64))
        return from_integers(shifted(steps, self.step, self.offset, type_), type_)

    def place(self, value: pa.Scalar) -> float | None:
        """The place of a value; None if it is outside the source's range or off the grid."""
        distance = int(to_integers(pa.array([value.as_py()], type=value.type))[0]) - self.offset
        if distance % self.step or not 0 <= distance // self.step <= self.steps:
            return None
        return float(distance // self.step)

    @staticmethod
    def _unsigned(step: int, like: npt.NDArray[np.generic]) -> object:
        return step if like.dtype == object else np.uint64(step)


class RealNumber(BaseModel):
    """Floating point numbers from `low` to `high`, rounded to the source's decimal places if it has a few.

    What is learned lies between 0 and `REAL_SCALE`.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["real"] = "real"
    low: float
    high: float
    decimals: int | None

    @classmethod
    def of(cls, array: pa.Array) -> "RealNumber":
        """The range and the decimal places of an array without missing values, all of them finite."""
        values = _floats(array)
        return cls(low=float(values.min()), high=float(values.max()), decimals=_decimal_places(array))

    def encode(self, array: pa.Array) -> Floats:
        """The values, scaled; halves first, since the difference of two large floats can overflow."""
        scaled: Floats = (_floats(array) / 2 - self.low / 2) / self._half_range() * REAL_SCALE
        return scaled

    def decode(self, scaled: Floats, type_: pa.DataType) -> pa.Array:
        """The values, rounded, none outside the range."""
        with np.errstate(over="ignore"):
            values = (self.low / 2 + np.clip(scaled / REAL_SCALE, 0.0, 1.0) * self._half_range()) * 2
            if self.decimals is not None:
                values = np.round(values, self.decimals)
        within = np.clip(values, self.low, self.high) + 0.0  # turns -0.0 into 0.0
        return pa.array(within.astype(type_.to_pandas_dtype()), type=type_)

    def place(self, value: pa.Scalar) -> float | None:
        """What is learned of a value; None if it is outside the source's range."""
        number = float(value.as_py())
        if not self.low <= number <= self.high:
            return None
        return float(self.encode(pa.array([number], type=pa.float64()))[0])

    def _half_range(self) -> float:
        return self.high / 2 - self.low / 2


def _floats(array: pa.Array) -> Floats:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _decimal_places(array: pa.Array) -> int | None:
    """The fewest decimal places that say every value exactly; None if more than `MOST_DECIMALS` are needed."""
    own = np.asarray(array.to_numpy(zero_copy_only=False))
    values = own.astype(np.float64)
    for places in range(MOST_DECIMALS + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            if np.array_equal(np.round(values, places).astype(own.dtype), own):
                return places
    return None
