"""Tables as CSV (RFC 4180): UTF-8, commas, a header, quotes where they are needed.

A missing value is an empty cell. A string that would be taken for a number, a boolean or a missing value is quoted, and
so is a name that doesn't begin with a letter: what is what can be told from the file. Cells that a spreadsheet takes
for formulas stay as they are, for whoever reads the file otherwise must find what was there.
"""

import re
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from servicekit.tabular.text import MISSING_TOKENS, NUMBER_PATTERN, WORDS_PATTERN, as_text, joined

SPECIAL_PATTERN = r'[",;|\x00-\x1f]|^\s|\s$'
"""What a cell in quotes can hold: whatever separates cells or lines in some file."""
_TOKENS = "|".join(token.replace("/", "\\/") for token in MISSING_TOKENS)
AMBIGUOUS_PATTERN = rf"^({NUMBER_PATTERN}|{WORDS_PATTERN}|{_TOKENS})?$"
"""Text that is quoted so that it stays text."""
# Not what other formats begin with, nor Excel's line that names the delimiter.
_PLAIN_NAME = re.compile(r"(?!PAR1|[sS][eE][pP]=)[^\W\d]")


def stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The file, a piece for each batch."""
    yield _lines([_quoted(pa.array([name]), SPECIAL_PATTERN if is_plain_name(name) else "") for name in schema.names])
    # A line with nothing in it would be skipped by whoever reads it.
    missing = "NA" if len(schema) == 1 else ""
    for batch in batches:
        if batch.num_rows:
            yield _lines([_cells(column) for column in batch.columns], missing)


def is_plain_name(name: str) -> bool:
    """Whether a column's name is written without quotes, unless it holds something special."""
    return bool(_PLAIN_NAME.match(name))


def _cells(values: pa.Array) -> pa.Array:
    text = as_text(values)
    is_string = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    return _quoted(text, f"{SPECIAL_PATTERN}|{AMBIGUOUS_PATTERN}") if is_string else text


def _quoted(text: pa.Array, pattern: str) -> pa.Array:
    inside = pc.replace_substring(text, pattern='"', replacement='""')
    return pc.if_else(pc.match_substring_regex(text, pattern=pattern), joined(['"', inside, '"']), text)


def _lines(columns: list[pa.Array], missing: str = "") -> bytes:
    lines = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement=missing)
    return ("\n".join(lines.to_pylist()) + "\n").encode()
