"""Arrow columns that are whole numbers underneath (integers, dates, times, decimals) as integers, and back."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# int64, uint64, or Python's own in an object array, for decimals.
Integers = npt.NDArray[Any]

UTC_NAMES = {"UTC", "Etc/UTC", "Z", "+00:00"}
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
LAST_SECOND = 253_402_300_799  # of the year 9999
LAST_DAY = 2_932_896
DECIMAL_DIGITS = 80


def is_whole(type_: pa.DataType) -> bool:
    """Whether a column of this type is whole numbers underneath."""
    return bool(pa.types.is_integer(type_) or pa.types.is_temporal(type_) or pa.types.is_decimal(type_))


def to_integers(array: pa.Array) -> Integers:
    """An array without missing values as integers: days, ticks of its unit, or units of a decimal's last place.

    An instant with a time zone becomes its local time, so that midnights stay midnights across a change of the clocks.
    """
    type_ = array.type
    if pa.types.is_decimal(type_):
        with localcontext(prec=DECIMAL_DIGITS):
            scale = Decimal(10) ** type_.scale
            return np.array([int(value * scale) for value in array.to_pylist()], dtype=object)
    if pa.types.is_timestamp(type_) and has_local_time(type_):
        array = pc.local_timestamp(array)
    if pa.types.is_date32(type_) or pa.types.is_time32(type_):
        array = array.cast(pa.int32())
    wanted = pa.uint64() if pa.types.is_unsigned_integer(type_) else pa.int64()
    return np.asarray(array.cast(wanted).to_numpy(zero_copy_only=False))


def from_integers(integers: Integers, type_: pa.DataType) -> pa.Array:
    """The array of this type that `to_integers` makes the integers of."""
    if pa.types.is_decimal(type_):
        with localcontext(prec=DECIMAL_DIGITS):
            return pa.array([Decimal(int(value)).scaleb(-type_.scale) for value in integers], type=type_)
    plain = pa.array(integers)
    if pa.types.is_timestamp(type_) and has_local_time(type_):
        local = plain.cast(pa.timestamp(type_.unit))
        return pc.assume_timezone(local, type_.tz, ambiguous="earliest", nonexistent="latest")
    if pa.types.is_date32(type_) or pa.types.is_time32(type_):
        plain = plain.cast(pa.int32())
    return plain.cast(type_)


def has_local_time(type_: pa.TimestampType) -> bool:
    """Whether instants of this type have a local time that differs from UTC, in a zone that this machine knows."""
    if type_.tz is None or type_.tz in UTC_NAMES:
        return False
    try:
        pc.local_timestamp(pa.array([0], type=type_))
    except pa.ArrowInvalid:
        return False
    return True


def bounds(type_: pa.DataType) -> tuple[int, int]:
    """The smallest and the largest integer of a type, exactly held; dates end with the year 9999."""
    if pa.types.is_floating(type_):
        return -(2**53), 2**53
    if pa.types.is_integer(type_):
        limits = np.iinfo(type_.to_pandas_dtype())
        return int(limits.min), int(limits.max)
    if pa.types.is_decimal(type_):
        return 1 - 10**type_.precision, 10**type_.precision - 1
    if pa.types.is_date32(type_):
        return -LAST_DAY, LAST_DAY
    if pa.types.is_time(type_):
        return 0, 86_400 * PER_SECOND[type_.unit] - 1
    ticks = 10**3 if pa.types.is_date64(type_) else PER_SECOND[type_.unit]
    most = min(LAST_SECOND * ticks, 2**63 - 1)
    return -most, most


def differences(integers: Integers, origin: int) -> Integers:
    """The integers less an origin that is no larger than any of them: uint64, or Python's own."""
    if integers.dtype == object:
        return integers - origin
    return integers.astype(np.uint64) - np.uint64(origin % 2**64)


def shifted(steps: Integers, step: int, origin: int, like: pa.DataType) -> Integers:
    """`origin + step × steps`, as the integers that a column of the type is made of; `steps` are uint64."""
    if pa.types.is_decimal(like):
        return np.array([origin + step * int(number) for number in steps], dtype=object)
    with np.errstate(over="ignore"):  # two's complement makes it come out right
        whole = steps * np.uint64(step) + np.uint64(origin % 2**64)
    return whole if pa.types.is_unsigned_integer(like) else whole.view(np.int64)


def greatest_common_divisor(numbers: Integers) -> int:
    """The largest number that divides them all; 1 if all are 0."""
    return int(np.gcd.reduce(numbers)) or 1


def widest_room(values: Sequence[int], type_: pa.DataType, wanted: int) -> tuple[int, int]:
    """The first and last integer of a stretch that holds none of the values (sorted, distinct).

    Above the largest where there is room for so many as wanted, otherwise wherever there is the most.
    """
    low, high = bounds(type_)
    if high - values[-1] >= wanted:
        return values[-1] + 1, high
    edges = [max(low, min(0, values[0])) - 1, *values, high + 1]
    widest = max(range(len(edges) - 1), key=lambda place: edges[place + 1] - edges[place])
    return edges[widest] + 1, edges[widest + 1] - 1
