"""Arrow's exact types as integers and back: whole numbers, decimals, dates, times, durations.

A decimal is taken without its point, a date as days, a time or timestamp in its own unit. Up to 64 bits are numpy
integers; decimals that need more are Python's own, in an object array.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Integers = NDArray[Any]
"""An array of int64, uint64, or object (Python integers)."""


def is_exact(kind: pa.DataType) -> bool:
    """Whether a type's values are integers of some unit."""
    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind) or is_temporal(kind))


def is_temporal(kind: pa.DataType) -> bool:
    """Whether a type tells days, times or spans of one unit."""
    return bool(
        pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind) or pa.types.is_duration(kind)
    )


def to_integers(values: pa.Array) -> Integers:
    """Integers of an array that holds no nulls; shape (rows,)."""
    kind = values.type
    if pa.types.is_decimal(kind):
        return _unscaled(values)
    if pa.types.is_unsigned_integer(kind):
        return np.asarray(values.cast(pa.uint64()).to_numpy(zero_copy_only=False))
    if kind.bit_width == 32:
        return np.asarray(values.view(pa.int32()).to_numpy(zero_copy_only=False)).astype(np.int64)
    wide = values.view(pa.int64()) if kind.bit_width == 64 else values.cast(pa.int64())
    return np.asarray(wide.to_numpy(zero_copy_only=False))


def from_integers(integers: Integers, kind: pa.DataType) -> pa.Array:
    """The array of a type that `to_integers` reads as these integers."""
    if pa.types.is_decimal(kind):
        return _scaled(integers, kind)
    if pa.types.is_integer(kind):
        return pa.array(integers).cast(kind)
    if kind.bit_width == 32:
        return pa.array(integers.astype(np.int32)).view(kind)
    return pa.array(integers.astype(np.int64)).view(kind)


def _unscaled(values: pa.Array) -> Integers:
    """Decimals lie in memory as little-endian two's complement of 4 to 32 bytes."""
    width = values.type.byte_width
    if width < 8:
        return np.frombuffer(values.buffers()[1], np.int32)[values.offset :][: len(values)].astype(np.int64)
    limbs = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, width // 8)[values.offset :][: len(values)]
    lowest = limbs[:, 0]
    if bool(np.all(limbs[:, 1:] == (lowest >> 63)[:, None])):
        return lowest.copy()
    whole = np.empty(len(limbs), dtype=object)
    whole[:] = [int.from_bytes(limb.tobytes(), "little", signed=True) for limb in limbs]
    return whole


def _scaled(integers: Integers, kind: pa.DataType) -> pa.Array:
    width = kind.byte_width
    if integers.dtype == object:
        data = b"".join(int(value).to_bytes(width, "little", signed=True) for value in integers)
    elif width < 8:
        data = integers.astype(np.int32).tobytes()
    else:
        signed = integers.astype(np.int64)
        limbs = np.repeat((signed >> 63)[:, None], width // 8, axis=1)
        limbs[:, 0] = signed
        data = limbs.tobytes()
    return pa.Array.from_buffers(kind, len(integers), [None, pa.py_buffer(data)])
