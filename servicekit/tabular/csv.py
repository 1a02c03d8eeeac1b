"""Tables as CSV (RFC 4180): UTF-8, commas, a header, quotes where they are needed.

A missing value is an empty cell. A string that would be taken for a number or for a missing value is quoted; so its
type can be told from the file.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from servicekit.tabular.text import MISSING_TOKENS, NUMBER_PATTERN, as_text, joined

_SPECIAL = r'[",\r\n]|^\s|\s$'
_TOKENS = "|".join(token.replace("/", "\\/") for token in MISSING_TOKENS)
_AMBIGUOUS = rf"^({NUMBER_PATTERN}|{_TOKENS})?$"


def stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The file, a piece for each batch."""
    yield _lines([_quoted(pa.array([name]), _SPECIAL) for name in schema.names])
    # A line with nothing in it would be skipped by whoever reads it.
    missing = "NA" if len(schema) == 1 else ""
    for batch in batches:
        if batch.num_rows:
            yield _lines([_cells(column) for column in batch.columns], missing)


def _cells(values: pa.Array) -> pa.Array:
    text = as_text(values)
    is_string = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    return _quoted(text, f"{_SPECIAL}|{_AMBIGUOUS}") if is_string else text


def _quoted(text: pa.Array, pattern: str) -> pa.Array:
    inside = pc.replace_substring(text, pattern='"', replacement='""')
    return pc.if_else(pc.match_substring_regex(text, pattern=pattern), joined(['"', inside, '"']), text)


def _lines(columns: list[pa.Array], missing: str = "") -> bytes:
    lines = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement=missing)
    return ("\n".join(lines.to_pylist()) + "\n").encode()
