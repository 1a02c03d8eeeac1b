"""Identifiers are not learnt: each row gets a new one that depends on nothing but the seed and the row's number."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def is_identifier(kind: pa.DataType) -> bool:
    """Whether identifiers of a type can be made."""
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def identifiers(kind: pa.DataType, first_row: int, raw: NDArray[np.uint64]) -> pa.Array:
    """Whole numbers count the rows from 1; texts are 32 hexadecimal digits, half of them chance, half the row's number.

    `raw` has shape (rows,). Raises OverflowError if the type has too few numbers.
    """
    rows = np.arange(first_row, first_row + len(raw), dtype=np.uint64)
    if pa.types.is_integer(kind):
        try:
            return pa.array(rows + np.uint64(1)).cast(kind)
        except pa.ArrowInvalid as error:
            raise OverflowError(f"the type {kind} has no room for {first_row + len(raw)} identifiers") from error
    return pa.array([f"{chance:016x}{row:016x}" for chance, row in zip(raw.tolist(), rows.tolist(), strict=True)], kind)
