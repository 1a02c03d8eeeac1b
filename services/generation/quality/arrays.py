"""Columns of Arrow tables as the arrays that are compared."""

import contextlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from servicekit.column_types import ColumnType
from services.generation.quality.tables import Codes, Kind, Numbers
from services.generation.tables.integers import PER_SECOND

_SECONDS_A_DAY = 86_400
_CATEGORICAL = {ColumnType.CATEGORICAL, ColumnType.BOOLEAN}
_BY_TAKEN_FOR = {
    ColumnType.INTEGER: Kind.NUMBER,
    ColumnType.FLOAT: Kind.NUMBER,
    ColumnType.DATE: Kind.DATE,
    ColumnType.DATETIME: Kind.DATE,
}
_TRUTH = {"true": "true", "false": "false", "1": "true", "0": "false", "yes": "true", "no": "false"}


class Unreadable(Exception):
    """A column's values can't be taken for what the real column holds; the message says what they are instead."""


def kind_of(type_: pa.DataType, taken_for: ColumnType) -> Kind | None:
    """How a column of this type is compared; None if it can't be."""
    type_ = _value_type(type_)
    if _is_no_value(type_):
        return None
    if taken_for in _CATEGORICAL or pa.types.is_boolean(type_):
        return Kind.CATEGORY
    if pa.types.is_null(type_):
        return _BY_TAKEN_FOR.get(taken_for, Kind.CATEGORY)
    if _is_number(type_) or pa.types.is_duration(type_):
        return Kind.NUMBER
    if pa.types.is_temporal(type_):
        return Kind.DATE
    return Kind.CATEGORY


def as_numbers(column: pa.ChunkedArray) -> Numbers:
    """A column as float64, NaN where missing or not finite; a duration in seconds.

    Raises Unreadable for what is neither a number nor text that says numbers throughout.
    """
    array = plain(column)
    type_ = array.type
    if pa.types.is_duration(type_):
        return _floats(array.cast(pa.int64())) / PER_SECOND[type_.unit]
    if not (_is_number(type_) or _is_text(type_) or pa.types.is_boolean(type_) or pa.types.is_null(type_)):
        raise Unreadable(f"holds {type_}, where the real column holds numbers")
    try:
        numbers = _floats(_trimmed(array).cast(pa.float64(), safe=False))
    except pa.ArrowInvalid as error:
        raise Unreadable("holds text, where the real column holds numbers") from error
    return np.where(np.isfinite(numbers), numbers, np.nan)


def as_seconds(column: pa.ChunkedArray) -> Numbers:
    """Dates and times as seconds since 1970 (a time of day: since midnight), NaN where missing.

    Raises Unreadable for what is neither a date nor text that says dates in ISO 8601 throughout.
    """
    array = plain(column)
    if _is_text(array.type):
        array = _parsed(array)
    type_ = array.type
    if pa.types.is_null(type_):
        return np.full(len(array), np.nan)
    if not pa.types.is_temporal(type_) or pa.types.is_duration(type_) or _is_no_value(type_):
        raise Unreadable(f"holds {type_}, where the real column holds dates")
    if pa.types.is_date32(type_):
        return _floats(array.cast(pa.int32())) * _SECONDS_A_DAY
    if pa.types.is_time32(type_):
        return _floats(array.cast(pa.int32())) / PER_SECOND[type_.unit]
    per_second = 1000 if pa.types.is_date64(type_) else PER_SECOND[type_.unit]
    return _floats(array.cast(pa.int64())) / per_second


def as_labels(column: pa.ChunkedArray, real: pa.DataType) -> pa.Array:
    """A column's values as texts, the same for the same value whatever type it comes in.

    `real` is the real column's type: where that holds numbers, `1`, `1.0` and the text `1.0` are one; where it holds
    true and false, so are their usual spellings. Raises Unreadable for nested values.
    """
    array = plain(column)
    real, type_ = _value_type(real), array.type
    if _is_no_value(type_):
        raise Unreadable(f"holds {type_}, where the real column holds single values")
    labels = array.cast(pa.string())
    if _is_number(type_) or (_is_number(real) and _is_text(type_)):
        with contextlib.suppress(pa.ArrowInvalid):  # not all of it says numbers
            labels = _number_labels(array)
    return _mapped(labels, _TRUTH) if pa.types.is_boolean(real) else labels


def as_codes(labels: pa.Array, known: pa.Array) -> Codes:
    """The places of labels among those known, -1 where missing."""
    return np.asarray(pc.index_in(labels, value_set=known).fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int32)


def plain(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, values instead of references to a dictionary."""
    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    # Arrow looks up no numbers of half precision.
    return array.cast(pa.float32()) if pa.types.is_float16(array.type) else array


def _floats(array: pa.Array) -> Numbers:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _trimmed(array: pa.Array) -> pa.Array:
    """Texts without spaces around them, missing if nothing else is there; anything else as it is."""
    if not _is_text(array.type):
        return array
    texts = pc.utf8_trim_whitespace(array.cast(pa.string()))
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _number_labels(array: pa.Array) -> pa.Array:
    """Numbers as texts: whole ones without a point, what isn't finite as missing."""
    if pa.types.is_integer(array.type):
        return array.cast(pa.string())
    distinct = pc.unique(array.drop_null())
    numbers = _floats(_trimmed(distinct).cast(pa.float64(), safe=False))
    texts = [
        None if not np.isfinite(number) else str(int(number)) if number == int(number) else repr(float(number))
        for number in numbers
    ]
    return pa.array(texts, pa.string()).take(pc.index_in(array, value_set=distinct))


def _mapped(labels: pa.Array, spelled: dict[str, str]) -> pa.Array:
    """Labels of which those spelled in a known way, in any case, are told in one."""
    distinct = pc.unique(labels.drop_null())
    told = pa.array([spelled.get(label.strip().lower(), label) for label in distinct.to_pylist()], pa.string())
    return told.take(pc.index_in(labels, value_set=distinct))


def _parsed(texts: pa.Array) -> pa.Array:
    """Texts in ISO 8601 as instants; those without an offset as they stand, times of day on the first day of all."""
    texts = _trimmed(texts)
    times = pc.binary_join_element_wise("1970-01-01T", texts, "")
    for wanted, zone in ((texts, None), (texts, "UTC"), (times, None)):
        try:
            return wanted.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
    raise Unreadable("holds text, where the real column holds dates")


def _value_type(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _is_no_value(type_: pa.DataType) -> bool:
    """Whether values of a type are none that could be compared: nested, binary, or months, days and times together."""
    return bool(
        pa.types.is_nested(type_) or pa.types.is_union(type_) or _is_binary(type_) or pa.types.is_interval(type_)
    )


def _is_binary(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
        or pa.types.is_binary_view(type_)
    )
