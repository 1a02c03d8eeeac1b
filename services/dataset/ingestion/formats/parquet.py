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
_MARK, _ENCRYPTED = b"PAR1", b"PARE"
_SMALLEST_BYTES = 12
_DEEPEST = 32  # objects nested deeper stay JSON text
_DIGITS_OF_64_BITS = 18
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # of the years 1 and 9999, counted from 1970
Conversion = Callable[[pa.Array], pa.Array]


def read(source: Path, limits: Limits) -> Reading:
    """Reads a Parquet file.

    NaN and infinity are missing. Dictionaries are decoded; decimals become integers where they have no fraction, as
    far as 64 bits hold them, and floats otherwise; times of day become text; members of nested objects become columns
    with dotted names, lists JSON text.

    Raises:
        Fault: it is damaged or encrypted, has too many columns or columns of types that no table here can have.
    """
    _refuse_cut_off(source)
    try:
        file = pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise unreadable(
            f"The Parquet file is damaged: the index in front of its last byte, {source.stat().st_size:,}, can't be "
            "read. Write it again."
        ) from error
    flat = _flat(schema.empty_table()).schema
    check_number(len(flat), limits)
    reading = Reading("parquet", iter(()), known_ahead=True)
    reading.names = settled(flat.names, reading.notes)
    conversions, refused, kept = [], [], []
    for position, field in enumerate(flat):
        conversion = _conversion(field.type)
        if conversion is None:
            refused.append(f"{field.name} ({field.type})")
            continue
        conversions.append(conversion)
        if pa.types.is_nested(field.type):
            kept.append(field.name)
        declared = (field.metadata or {}).get(TYPE_KEY, b"").decode("utf-8", errors="replace")
        if declared in list(ColumnType):
            reading.declared[position] = ColumnType(declared)
        if not _is_long(field.type):
            reading.targets[position] = _target(field.type)
    if refused:
        raise Fault(Reason.UNSUPPORTED, f"These columns are of types that can't be read: {named(refused, 20)}.")
    if len(flat) > len(schema):
        nested = [name for name in flat.names if name not in schema.names]
        reading.notes.append(f"Members of nested objects became the columns {named(nested, 20)}.")
    if kept:
        reading.notes.append(f"Nested lists were kept as JSON text: {named(kept, 20)}.")
    reading.batches = _batches(file, conversions, reading)
    return reading


def _refuse_cut_off(source: Path) -> None:
    """Parquet ends as it begins: with PAR1, or with PARE where its index is encrypted."""
    size = source.stat().st_size
    with source.open("rb") as file:
        file.seek(max(0, size - len(_MARK)))
        end = file.read()
    if end == _ENCRYPTED:
        raise unreadable("The Parquet file is encrypted: write it without encryption.")
    if end != _MARK or size < _SMALLEST_BYTES:
        raise unreadable(f"The Parquet file was cut off: it doesn't end, at its byte {size:,}, as such a file does.")


def _flat(table: pa.Table) -> pa.Table:
    """A table in which the members of objects are columns with dotted names."""
    for _ in range(_DEEPEST):
        if not any(pa.types.is_struct(field.type) and field.type.num_fields for field in table.schema):
            break
        table = table.flatten()
    return table


def _batches(file: pq.ParquetFile, conversions: list[Conversion], reading: Reading) -> Iterator[pa.RecordBatch]:
    names = internals(len(conversions))
    infinite = [0] * len(conversions)
    try:
        with file:
            for batch in file.iter_batches(batch_size=batch_rows(len(conversions)), use_threads=False):
                found = _flat(pa.Table.from_batches([batch])).combine_chunks().to_batches()
                read = found[0].columns if found else []
                for position, values in enumerate(read):
                    _refuse_beyond_calendar(reading.names[position], values)
                    if pa.types.is_floating(values.type):
                        infinite[position] += pc.sum(pc.is_inf(values)).as_py() or 0
                columns = [convert(column) for convert, column in zip(conversions, read, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, names)
    except (pa.ArrowException, OSError) as error:
        raise unreadable("The Parquet file is damaged: a part of it can't be decoded. Write it again.") from error
    for name, count in zip(reading.names, infinite, strict=True):
        if count:
            note = f"Column {named([name])} has {count:,} infinite numbers, which were taken as missing."
            reading.notes.append(note)


def _refuse_beyond_calendar(name: str, values: pa.Array) -> None:
    """Years that have no four digits can be written in Parquet, but hardly anywhere else."""
    if pa.types.is_date32(values.type):
        first, last, counted = _FIRST_DAY, _LAST_DAY, pa.int32()
    elif pa.types.is_timestamp(values.type) and values.type.unit != "ns":  # nanoseconds end in 2262
        ticks = {"s": 1, "ms": 10**3, "us": 10**6}[values.type.unit]
        first, last, counted = _FIRST_DAY * 86_400 * ticks, (_LAST_DAY + 1) * 86_400 * ticks - 1, pa.int64()
    else:
        return
    extremes = pc.min_max(values.cast(counted)).as_py()
    if extremes["min"] is not None and not first <= extremes["min"] <= extremes["max"] <= last:
        raise unreadable(
            f"Column {named([name])} has dates outside of the years 1 to 9999: make it text, or leave them out."
        )


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
        if _is_long(kind):
            return pa.string()
        return pa.int64() if kind.scale == 0 else pa.float64()
    if types.is_date64(kind):
        return pa.date32()
    kept = types.is_integer, types.is_floating, types.is_boolean, types.is_date32, types.is_timestamp
    return kind if any(keeps(kind) for keeps in kept) else pa.string()


def _is_long(kind: pa.DataType) -> bool:
    """Whether values can be integers beyond 64 bits: what they are is to be found out."""
    return bool(pa.types.is_decimal(kind) and kind.scale == 0 and kind.precision > _DIGITS_OF_64_BITS)


def _float(values: pa.Array) -> pa.Array:
    if pa.types.is_float16(values.type):
        values = pc.cast(values, pa.float32())
    return pc.if_else(pc.is_finite(values), values, None)


def _as_json(values: pa.Array) -> pa.Array:
    texts = [
        None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values.to_pylist()
    ]
    return pa.array(texts, pa.string())
