"""Categories as the codes that a model learns, and back."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from services.generation.tables.missing import Missing
from services.generation.tables.stored import ArrowValues

Codes = npt.NDArray[np.int32]


class Category(BaseModel):
    """A column's distinct values, the most frequent first, and how a model is told of them.

    The first `common` have a code each; the rest, where the engine takes no more, share the next code and are drawn
    by their frequencies. The last code says that the value is missing, where any is: what is missing is then learned
    together with everything else.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["category"] = "category"
    values: ArrowValues
    frequencies: tuple[int, ...]
    common: int
    missing: Missing | None

    @classmethod
    def of(cls, array: pa.Array, limit: int | None, missing_name: str) -> "Category":
        """The categories of an array of at least one present value; `limit` is the number of codes allowed."""
        counted = pc.value_counts(_plain(array).drop_null())
        values, counts = counted.field("values"), counted.field("counts")
        order = np.argsort(-counts.to_numpy(), kind="stable")
        missing = Missing(name=missing_name, rate=array.null_count / len(array)) if array.null_count else None
        allowed = None if limit is None else limit - (missing is not None)
        common = len(values) if allowed is None or len(values) <= allowed else allowed - 1
        return cls(
            values=values.take(pa.array(order)),
            frequencies=tuple(counts.take(pa.array(order)).to_pylist()),
            common=common,
            missing=missing,
        )

    @property
    def codes(self) -> int:
        """How many codes there are."""
        return min(self.common + 1, len(self.values)) + (self.missing is not None)

    def encode(self, array: pa.Array) -> Codes:
        """The codes of an array whose values are all among the categories."""
        places = pc.index_in(_plain(array), value_set=self.values)
        codes = np.minimum(places.fill_null(0).to_numpy(zero_copy_only=False), self.common)
        return np.where(places.is_null().to_numpy(zero_copy_only=False), self.codes - 1, codes).astype(np.int32)

    def decode(self, codes: Codes, type_: pa.DataType, draws: np.random.Generator) -> pa.Array:
        """The values of codes; how often one is missing is corrected to the source's rate."""
        places = codes.astype(np.int64)
        absent = np.zeros(len(codes), dtype=np.bool_)
        if self.missing is not None:
            said = codes == self.codes - 1
            absent = self.missing.corrected(said, draws)
            places[said] = self._drawn(int(said.sum()), 0, draws)
        if self.common < len(self.values):
            rare = places == self.common
            places[rare] = self._drawn(int(rare.sum()), self.common, draws)
        values = self.values.take(pa.array(places, mask=absent))
        return _typed(values, type_)

    def place(self, value: pa.Scalar) -> int | None:
        """The code of a value; None if it isn't among the categories."""
        found = pc.index_in(_plain(pa.array([value.as_py()], type=value.type)), value_set=self.values)[0].as_py()
        return None if found is None else min(found, self.common)

    def _drawn(self, count: int, first: int, draws: np.random.Generator) -> npt.NDArray[np.int64]:
        """Places from `first` on, by their frequencies."""
        weights = np.asarray(self.frequencies[first:], dtype=np.float64)
        return first + draws.choice(len(weights), size=count, p=weights / weights.sum())


def _plain(array: pa.Array) -> pa.Array:
    """Values instead of references to a dictionary."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _typed(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Values as a column of the source's type."""
    if pa.types.is_dictionary(type_):
        return values.cast(type_.value_type).dictionary_encode().cast(type_)
    return values.cast(type_)
