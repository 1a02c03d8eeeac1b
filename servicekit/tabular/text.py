"""Values as text: one spelling for each value, from which it can be read back exactly."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MISSING_TOKENS = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A", "<NA>")
"""What stands for a missing value in a text file, beside nothing at all."""

NUMBER_PATTERN = r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
"""Text that is a number. A leading zero or a plus sign makes it none: so postcodes and telephone numbers stay text."""

WORDS_PATTERN = r"(?i:true|false|[+-]?inf(?:inity)?)"
"""Text that is a boolean or infinity."""


def as_text(values: pa.Array) -> pa.Array:
    """Every value's text, missing ones staying missing.

    Numbers are the shortest that read back the same, floats always with a point or an exponent; dates and times are
    ISO 8601, those with a zone in UTC; booleans are `true` and `false`.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return as_text(values.dictionary_decode())
    if pa.types.is_floating(kind):
        return _floats(values)
    if pa.types.is_timestamp(kind):
        return _timestamps(values)
    if pa.types.is_date64(kind):
        return pc.cast(pc.cast(values, pa.date32()), pa.string())
    return pc.cast(values, pa.string())


def _floats(values: pa.Array) -> pa.Array:
    text = pc.cast(values, pa.string())
    return pc.replace_substring_regex(text, pattern=r"^(-?[0-9]+)$", replacement=r"\1.0")


def _timestamps(values: pa.Array) -> pa.Array:
    kind = values.type
    # Arrow keeps what has a zone in UTC: without the zone the same numbers are the UTC clock.
    clock = values.cast(pa.int64()).cast(pa.timestamp(kind.unit))
    text = pc.strftime(clock, format="%Y-%m-%dT%H:%M:%S")
    text = pc.replace_substring_regex(text, pattern=r"(\.[0-9]*[1-9])0+$|\.0+$", replacement=r"\1")
    return text if kind.tz is None else joined([text, pa.scalar("Z")])


def joined(parts: list[Any], separator: str = "") -> pa.Array:
    """The parts, element by element, one after another; missing where one is."""
    return pc.binary_join_element_wise(*parts, separator)
