"""Categories of any cardinality: texts, bytes, booleans. Levels that too few rows have are protected."""

import base64
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mirage_engine.codec.column import UNKNOWN, Leaves, Range

RareLevels = Literal["merge", "redact", "keep"]
"""What becomes of rare levels.

merge: they are learnt as one and never drawn; what goes with them is drawn as the frequent levels that go with it most.
redact: they are learnt as one and drawn as a label in their place. keep: they are levels like others.
"""
REDACTED = "(rare)"


def is_category(kind: pa.DataType) -> bool:
    """Whether this codec is the one for a type."""
    types = pa.types
    return bool(types.is_boolean(kind) or types.is_null(kind) or _is_text(kind) or _is_bytes(kind))


@dataclass(frozen=True, eq=False)
class CategoryCodec:
    """The leaves of a category: its levels, the most frequent first; then the rare ones as one; then missing."""

    kind: pa.DataType
    levels: pa.Array
    rare: bool
    redacted: bool
    missing: bool

    @classmethod
    def fit(cls, values: pa.Array, kind: pa.DataType, rare_rows: int, rare_levels: RareLevels) -> "CategoryCodec":
        """Learns the levels of a column of a type. Those that fewer than `rare_rows` rows have are protected.

        A boolean's are not: that it can be true or false tells nothing of anybody.
        """
        plain = _plain(values)
        counted = pc.value_counts(plain.drop_null())
        levels, counts = counted.field("values"), counted.field("counts").to_numpy(zero_copy_only=False)
        if len(levels):
            order = np.lexsort((pc.rank(levels, tiebreaker="first").to_numpy(), -counts))
            levels, counts = levels.take(pa.array(order)), counts[order]
        protects = rare_levels != "keep" and not pa.types.is_boolean(kind)
        frequent = int(np.sum(counts >= rare_rows)) if protects else len(levels)
        rare = frequent < len(levels)
        # With no frequent level there is nothing to merge into.
        redacted = rare and (rare_levels == "redact" or frequent == 0)
        missing = values.null_count > 0 or len(values) == 0
        return cls(kind, levels.slice(0, frequent), rare, redacted, missing)

    @property
    def regular(self) -> int:
        """How many levels there are."""
        return len(self.levels)

    @property
    def leaves(self) -> int:
        """Levels, the rare ones as one, missing."""
        return self.regular + self.rare + self.missing

    @property
    def ordered(self) -> bool:
        """Levels have no order."""
        return False

    @property
    def log_widths(self) -> NDArray[np.float64]:
        """A level is one value."""
        return np.zeros(self.leaves)

    @cached_property
    def never_drawn(self) -> NDArray[np.bool_]:
        """The rare levels, where they are merged into the others."""
        kept_back = np.zeros(self.leaves, dtype=np.bool_)
        kept_back[self.regular : self.regular + 1] = self.rare and not self.redacted
        return kept_back

    def encode(self, values: pa.Array) -> Leaves:
        """Levels; a text that is none of them counts as rare, if there are rare ones."""
        plain = _plain(values)
        found = pc.fill_null(pc.index_in(plain, value_set=self.levels), self.regular if self.rare else UNKNOWN)
        leaves = np.array(found.to_numpy(zero_copy_only=False), dtype=np.int32)
        leaves[np.asarray(pc.is_null(plain))] = self.leaves - 1 if self.missing else UNKNOWN
        return leaves

    def decode(self, leaves: Leaves, raw: NDArray[np.uint64], within: Range | None = None) -> pa.Array:
        """The level of each leaf; the random words aren't needed."""
        del raw, within
        if pa.types.is_null(self.kind):
            return pa.nulls(len(leaves))
        absent = leaves >= len(self.drawable)
        return self.drawable.take(pa.array(leaves, mask=absent)).cast(self.kind)

    @cached_property
    def drawable(self) -> pa.Array:
        """What each leaf before missing is drawn as."""
        return pa.concat_arrays([self.levels, self._label()]) if self.rare else self.levels

    def shares(self, within: Range) -> NDArray[np.float64]:
        """Texts and bytes have ranges in their own order; the others have none."""
        if not _is_text(self.kind):
            raise ValueError("the column has no ranges: give a value, or a list of values")
        shares = np.zeros(self.leaves)
        inside = [
            (within.low is None or str(within.low) <= level) and (within.high is None or level <= str(within.high))
            for level in self.levels.to_pylist()
        ]
        shares[: self.regular] = inside
        if not shares.any():
            raise ValueError("no level lies in the range")
        return shares

    def _label(self) -> pa.Array:
        label: str | bytes = REDACTED
        if _is_bytes(self.kind):
            label = REDACTED.encode()
        if pa.types.is_fixed_size_binary(self.kind):
            label = REDACTED.encode().ljust(self.kind.byte_width, b"\0")[: self.kind.byte_width]
        return pa.array([label], self.levels.type)

    def to_json(self) -> dict[str, Any]:
        """Levels as they are; bytes in base 64."""
        levels = self.levels.to_pylist()
        if pa.types.is_large_binary(self.levels.type):
            levels = [base64.b64encode(level).decode() for level in levels]
        return {
            "codec": "categories",
            "levels": levels,
            "rare": self.rare,
            "redacted": self.redacted,
            "missing": self.missing,
        }

    @classmethod
    def from_json(cls, about: dict[str, Any], kind: pa.DataType) -> "CategoryCodec":
        """A codec as it was before `to_json`."""
        plain = _plain_type(kind)
        levels = about["levels"]
        if pa.types.is_large_binary(plain):
            levels = [base64.b64decode(level) for level in levels]
        return cls(kind, pa.array(levels, plain), about["rare"], about["redacted"], about["missing"])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if _is_text(kind):
        return pa.large_string()
    return pa.large_binary() if _is_bytes(kind) else kind


def _plain(values: pa.Array) -> pa.Array:
    """Values of a type that Arrow computes with, whose offsets can't overflow."""
    return values.cast(_plain_type(values.type))
