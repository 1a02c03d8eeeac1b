"""Values as JSON says them, as values of Arrow types."""

from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import pyarrow as pa
from pydantic import JsonValue


def parse_value(value: JsonValue, type_: pa.DataType) -> pa.Array:
    """An array of this one value. Raises ValueError, saying what is needed, for a value of another type."""
    plain = type_.value_type if pa.types.is_dictionary(type_) else type_
    try:
        array = pa.array([_as_python(value, plain)], type=plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, InvalidOperation) as error:
        raise ValueError(f"it doesn't fit the column's type, {plain}") from error
    return array.dictionary_encode().cast(type_) if pa.types.is_dictionary(type_) else array


def _as_python(value: JsonValue, type_: pa.DataType) -> object:
    if pa.types.is_boolean(type_):
        return _checked(value, isinstance(value, bool), "true or false")
    if isinstance(value, bool):
        raise ValueError(f"true and false don't fit the column's type, {type_}")  # noqa: TRY004 one error for callers
    if pa.types.is_integer(type_):
        return _checked(value, isinstance(value, int), "a whole number")
    if pa.types.is_floating(type_):
        return float(str(_checked(value, isinstance(value, int | float), "a number")))
    if pa.types.is_decimal(type_):
        return Decimal(str(_checked(value, isinstance(value, int | float | str), "a number")))
    text = str(_checked(value, isinstance(value, str), "a string"))
    if pa.types.is_date(type_):
        return date.fromisoformat(text)
    if pa.types.is_time(type_):
        return time.fromisoformat(text)
    if pa.types.is_timestamp(type_):
        return _instant(text, type_)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return text
    raise ValueError(f"a column of type {type_} can't be fixed")


def _instant(text: str, type_: pa.TimestampType) -> datetime:
    """A time in ISO 8601; without an offset it is in the column's zone."""
    instant = datetime.fromisoformat(text)
    if type_.tz is None:
        if instant.tzinfo is not None:
            raise ValueError("its times have no zone; leave the offset out")
        return instant
    return instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(type_.tz))


def _checked(value: JsonValue, fits: bool, needed: str) -> JsonValue:
    if not fits:
        raise ValueError(f"{needed} is needed")
    return value
