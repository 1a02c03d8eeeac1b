"""Parquet: columns keep their Arrow types, as far as a table here can have them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from servicekit.column_types import ColumnType
from servicekit.tabular.text import as_text
from services.dataset.ingestion.faults import Fault, Reason, named, unreadable
from services.dataset.ingestion.names import check_number, settled
from services.dataset.ingestion.reading import Reading, batch_rows, internals
from services.dataset.ingestion.table import TYPE_KEY
from services.dataset.ingestion.tasks import Limits

_BUFFER_BYTES = 1024 * 1024
Conversion = Callable[[pa.Array], pa.Array]


def read(source: Path, limits: Limits) -> Reading:
    """Reads a Parquet file.

    NaN is missing. Dictionaries are decoded; decimals become integers where they have no fraction and floats
    otherwise; times of day become text; nested values become JSON text.

    Raises:
        Fault: it is damaged or encrypted, has too many columns or columns of types that no table here can have.
    """
    try:
        file = pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise unreadable("The Parquet file is damaged, cut off or encrypted: write it again.") from error
    check_number(len(schema), limits)
    reading = Reading("parquet", iter(()))
    reading.names = settled(schema.names, reading.notes)
    conversions, refused, nested = [], [], []
    for position, field in enumerate(schema):
        conversion = _conversion(field.type)
        if conversion is None:
            refused.append(f"{field.name} ({field.type})")
            continue
        conversions.append(conversion)
        if pa.types.is_nested(field.type):
            nested.append(field.name)
        declared = (field.metadata or {}).get(TYPE_KEY, b"").decode("utf-8", errors="replace")
        if declared in list(ColumnType):
            reading.declared[position] = ColumnType(declared)
        reading.targets[position] = _target(field.type)
    if refused:
        raise Fault(Reason.UNSUPPORTED, f"These columns are of types that can't be read: {named(refused, 20)}.")
    if nested:
        reading.notes.append(f"Nested values were kept as JSON text: {named(nested, 20)}.")
    reading.batches = _batches(file, conversions)
    return reading


def _batches(file: pq.ParquetFile, conversions: list[Conversion]) -> Iterator[pa.RecordBatch]:
    names = internals(len(conversions))
    try:
        with file:
            for batch in file.iter_batches(batch_size=batch_rows(len(conversions)), use_threads=False):
                columns = [convert(column) for convert, column in zip(conversions, batch.columns, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, names)
    except (pa.ArrowException, OSError) as error:
        raise unreadable("The Parquet file is damaged: a part of it can't be decoded. Write it again.") from error


def _conversion(kind: pa.DataType) -> Conversion | None:
    """How values of a type are staged; None for a type that can't be had."""
    types = pa.types
    if types.is_dictionary(kind):
        inner = _conversion(kind.value_type)
        return inner and (lambda values: inner(values.dictionary_decode()))
    if types.is_floating(kind):
        return _float
    kept = types.is_integer, types.is_boolean, types.is_string, types.is_date32, types.is_timestamp
    if any(keeps(kind) for keeps in kept):
        return lambda values: values
    if types.is_decimal(kind):
        return lambda values: pc.cast(values, _target(kind), safe=False)
    if types.is_nested(kind):
        return _as_json
    if types.is_time(kind):
        return as_text
    if types.is_null(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_date64(kind):
        return lambda values: pc.cast(values, _target(kind))
    return None


def _target(kind: pa.DataType) -> pa.DataType:
    """The type of a column in the table."""
    types = pa.types
    if types.is_dictionary(kind):
        return _target(kind.value_type)
    if types.is_float16(kind):
        return pa.float32()
    if types.is_decimal(kind):
        return pa.int64() if kind.scale == 0 and kind.precision <= 18 else pa.float64()
    if types.is_date64(kind):
        return pa.date32()
    kept = types.is_integer, types.is_floating, types.is_boolean, types.is_date32, types.is_timestamp
    return kind if any(keeps(kind) for keeps in kept) else pa.string()


def _float(values: pa.Array) -> pa.Array:
    if pa.types.is_float16(values.type):
        values = pc.cast(values, pa.float32())
    return pc.if_else(pc.is_nan(values), None, values)


def _as_json(values: pa.Array) -> pa.Array:
    texts = [
        None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values.to_pylist()
    ]
    return pa.array(texts, pa.string())
