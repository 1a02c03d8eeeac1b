"""Numbers, dates and times: cells of their range, with not-a-number and the infinities standing apart."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mirage_engine.codec.cells import Keys, cell_of, cells_of
from mirage_engine.codec.column import UNKNOWN, Leaves, Range
from mirage_engine.codec.integers import is_exact
from mirage_engine.codec.scales import Reals, Scale, scale_for, scale_from_json

MOST_CELLS = 4096
_LEAST_LOG_SHARE = -20.0
_APART = {"nan": float("nan"), "infinity": float("inf"), "minus_infinity": float("-inf")}


def is_number(kind: pa.DataType) -> bool:
    """Whether this codec is the one for a type."""
    return is_exact(kind) or bool(pa.types.is_floating(kind))


@dataclass(frozen=True, eq=False)
class NumberCodec:
    """The leaves of a column of numbers: its cells, then those of `apart` that the source had, then missing."""

    kind: pa.DataType
    scale: Scale | None  # None if the column holds no finite value
    low: Keys
    high: Keys
    apart: tuple[str, ...]
    missing: bool

    @classmethod
    def fit(cls, values: pa.Array, rows_per_cell: int) -> "NumberCodec":
        """Learns a column's cells."""
        kind = values.type
        finite = values.drop_null()
        apart: tuple[str, ...] = ()
        if pa.types.is_floating(kind):
            numbers = np.asarray(finite.cast(pa.float64()).to_numpy(zero_copy_only=False))
            apart = tuple(name for name, value in _APART.items() if bool(np.any(_is(numbers, value))))
            finite = finite.filter(pa.array(np.isfinite(numbers)))
        missing = values.null_count > 0 or len(values) == 0
        if len(finite) == 0:
            return cls(kind, None, np.empty(0), np.empty(0), apart, missing or not apart)
        scale = scale_for(finite)
        low, high = cells_of(scale.keys(finite)[0], rows_per_cell, MOST_CELLS)
        return cls(kind, scale, low, high, apart, missing)

    @property
    def regular(self) -> int:
        """How many cells there are."""
        return len(self.low)

    @property
    def leaves(self) -> int:
        """Cells, what stands apart, and missing."""
        return self.regular + len(self.apart) + self.missing

    @property
    def ordered(self) -> bool:
        """Cells ascend."""
        return True

    @cached_property
    def log_widths(self) -> NDArray[np.float64]:
        """Zero for what stands apart."""
        widths = np.zeros(self.leaves)
        if self.scale is not None:
            widths[: self.regular] = self.scale.log_widths(self.low, self.high)
        return widths

    @property
    def never_drawn(self) -> NDArray[np.bool_]:
        """Nothing is kept back."""
        return np.zeros(self.leaves, dtype=np.bool_)

    def encode(self, values: pa.Array) -> Leaves:
        """Cells; a number between two cells counts to the lower, one outside the source's range is unknown."""
        leaves = np.full(len(values), UNKNOWN, dtype=np.int32)
        present = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False))
        if self.missing:
            leaves[~present] = self.leaves - 1
        if pa.types.is_floating(self.kind):
            numbers = np.asarray(pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False))
            for place, name in enumerate(self.apart):
                leaves[present & _is(numbers, _APART[name])] = self.regular + place
            present &= np.isfinite(numbers)
        if self.scale is not None and bool(present.any()):
            keys, inside = self.scale.keys(values.filter(pa.array(present)))
            leaves[present] = np.where(inside, cell_of(keys, self.low, self.high), UNKNOWN)
        return leaves

    def decode(self, leaves: Leaves, raw: NDArray[np.uint64], within: Range | None = None) -> pa.Array:
        """A number of each cell."""
        in_cell = leaves < self.regular
        values = pa.nulls(len(leaves), self.kind)
        if self.scale is not None and bool(in_cell.any()):
            low, high = self.low[leaves[in_cell]], self.high[leaves[in_cell]]
            if within is not None:
                low, high = _clipped(low, high, self.scale, within)
            found = self.scale.values(self.scale.between(low, high, raw[in_cell]))
            if bool(in_cell.all()):
                return found
            places = np.cumsum(in_cell) - 1
            values = found.take(pa.array(places, mask=~in_cell))
        for place, name in enumerate(self.apart):
            standing = pa.array(leaves == self.regular + place)
            values = pc.if_else(standing, pa.scalar(_APART[name], pa.float64()).cast(self.kind), values)
        return values

    def shares(self, within: Range) -> NDArray[np.float64]:
        """By how many values, or how wide a stretch, a cell and the range have in common."""
        shares = np.zeros(self.leaves)
        if self.scale is None:
            raise ValueError("the column holds no numbers")
        least, largest = self.scale.bounds(within)
        overlaps = np.flatnonzero((self.low <= largest) & (self.high >= least) & (least <= largest))
        if not len(overlaps):
            raise ValueError(f"no value of the source lies in the range; they go {self.told_range()}")
        low, high = _clipped(self.low[overlaps], self.high[overlaps], self.scale, within)
        common = self.scale.log_widths(low, high) - self.log_widths[overlaps]
        # A range that is one real number has no width, and can be met all the same.
        if isinstance(self.scale, Reals):
            common = np.where(low == high, 0.0, common)
        shares[overlaps] = np.exp(np.clip(common, _LEAST_LOG_SHARE, 0.0))
        return shares

    def told_range(self) -> str:
        """From where to where the values go."""
        if self.scale is None:
            return "nowhere"
        least, largest = self.scale.values(np.asarray([self.low[0], self.high[-1]])).cast(pa.string()).to_pylist()
        return f"from {least} to {largest}"

    def to_json(self) -> dict[str, Any]:
        """Cells as they are."""
        return {
            "codec": "numbers",
            "scale": None if self.scale is None else self.scale.to_json(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "apart": list(self.apart),
            "missing": self.missing,
        }

    @classmethod
    def from_json(cls, about: dict[str, Any], kind: pa.DataType) -> "NumberCodec":
        """A codec as it was before `to_json`."""
        scale = None if about["scale"] is None else scale_from_json(about["scale"], kind)
        dtype: Any = np.float64
        if about["scale"] is not None and about["scale"]["kind"] == "steps":
            dtype = object if getattr(scale, "wide", False) else np.uint64
        low, high = np.array(about["low"], dtype=dtype), np.array(about["high"], dtype=dtype)
        return cls(kind, scale, low, high, tuple(about["apart"]), about["missing"])


def _is(numbers: NDArray[np.float64], value: float) -> NDArray[np.bool_]:
    return np.isnan(numbers) if np.isnan(value) else numbers == value


def _clipped(low: Keys, high: Keys, scale: Scale, within: Range) -> tuple[Keys, Keys]:
    """Cells that overlap with a range, cut to it."""
    least, largest = scale.bounds(within)
    return np.maximum(low, low.dtype.type(least)), np.minimum(high, high.dtype.type(largest))
