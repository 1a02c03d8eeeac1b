"""Tables as JSON: an array of objects, or an object a line (JSON lines); every object has every column.

Dates and times are ISO 8601 strings, missing values `null`, floats have a point or an exponent. Infinity, which JSON
lacks, is written as a number too large for a double, which every reader takes for infinity.
"""

import json
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from servicekit.tabular.text import as_text, joined


def stream_lines(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """JSON lines, a piece for each batch."""
    for batch in batches:
        if batch.num_rows:
            yield ("\n".join(_objects(schema, batch)) + "\n").encode()


def stream_array(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """One array of objects, an object a line, a piece for each batch."""
    before = "[\n"
    for batch in batches:
        if batch.num_rows:
            yield (before + ",\n".join(_objects(schema, batch))).encode()
            before = ",\n"
    yield b"[]\n" if before == "[\n" else b"\n]\n"


def _objects(schema: pa.Schema, batch: pa.RecordBatch) -> list[str]:
    members = [
        joined([json.dumps(name, ensure_ascii=False) + ":", _value(column)])
        for name, column in zip(schema.names, batch.columns, strict=True)
    ]
    inside = pc.binary_join_element_wise(*members, ",")
    lines: list[str] = joined(["{", inside, "}"]).to_pylist()
    return lines


def _value(values: pa.Array) -> pa.Array:
    kind = values.type
    text = as_text(values)
    if pa.types.is_floating(kind):
        text = pc.replace_substring(text, pattern="inf", replacement="1e999")
    elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        text = _string(text)
    return pc.fill_null(text, "null")


def _string(text: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(text, pattern=r"[\x00-\x1f\x7f]")).as_py():
        spelled = [None if cell is None else json.dumps(cell, ensure_ascii=False) for cell in text.to_pylist()]
        return pa.array(spelled, pa.string())
    escaped = pc.replace_substring(text, pattern="\\", replacement="\\\\")
    return joined(['"', pc.replace_substring(escaped, pattern='"', replacement='\\"'), '"'])
