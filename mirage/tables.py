"""Tables in Python: read with the types that the platform kept."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anyio import to_thread

from mirage.errors import DamagedTransfer, InvalidRequest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMATS = ("csv", "jsonl", "json", "parquet", "xlsx")


def to_pandas(table: "pa.Table") -> "pd.DataFrame":
    """Returns a DataFrame in which integers and booleans stay what they are where values are missing.

    Such columns get pandas' own types for it (`Int64`, `boolean`); the others get the usual ones. Dates are
    `datetime.date`.
    """
    import pandas as pd
    import pyarrow as pa

    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    columns = {
        name: column.to_pandas(types_mapper=nullable.get if column.null_count else None)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


async def read_parquet(chunks: AsyncIterator[bytes]) -> "pa.Table":
    """Returns the table that arrives as a Parquet file.

    Raises:
        DamagedTransfer: if it isn't a whole Parquet file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with tempfile.TemporaryFile(prefix="mirage-download-") as file:
        await write(chunks, file)
        file.seek(0)
        try:
            return await to_thread.run_sync(parquet.read_table, file)
        except pa.ArrowInvalid as error:
            raise DamagedTransfer(f"The table that arrived is damaged: {error}", reason="DAMAGED_TABLE") from None


async def write(chunks: AsyncIterator[bytes], file: IO[bytes]) -> int:
    """Writes what arrives to an open file, and returns how many bytes that was."""
    size = 0
    async for chunk in chunks:
        await to_thread.run_sync(file.write, chunk)
        size += len(chunk)
    return size


async def save(chunks: AsyncIterator[bytes], path: Path) -> Path:
    """Writes what arrives beside `path` and renames it at the end, so that half a file never bears the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    try:
        with await to_thread.run_sync(partial.open, "wb") as file:
            await write(chunks, file)
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def target(path: "str | Path", wanted: str | None, default: str, stem: str) -> tuple[Path, str]:
    """Returns the file to write and its format, from what a caller gave.

    The format is the one wanted, else the one that the path ends in, else the default.
    In a directory the file is called `stem`.

    Raises:
        InvalidRequest: if the path ends in something that is no format, and none is wanted.
    """
    path = Path(path).expanduser()
    if path.is_dir() or str(path).endswith("/"):
        chosen = wanted or default
        return path / f"{file_name(stem)}.{chosen}", chosen
    suffix = path.suffix.lower().removeprefix(".")
    if wanted or not suffix:
        return path, wanted or default
    chosen = "jsonl" if suffix == "ndjson" else suffix
    if chosen not in (*FORMATS, "zip"):
        raise InvalidRequest(
            f"{path.name} doesn't end in a format.",
            reason="UNKNOWN_FORMAT",
            hint=f"Name one of {', '.join(FORMATS)}, or let the path end in one.",
        )
    return path, chosen


def file_name(text: str) -> str:
    """Returns a text as a file's name that every system takes."""
    safe = "".join(letter if letter.isalnum() or letter in "-_. " else "-" for letter in text).strip(" .-")
    return safe[:120] or "table"


def typed(rows: "pa.Table", schema: dict[str, Any]) -> "pa.Table":
    """Returns a table whose columns have the types of `schema` (column name to Arrow type), where values allow it."""
    import pyarrow as pa

    fields = [pa.field(field.name, schema.get(field.name, field.type)) for field in rows.schema]
    return rows.cast(pa.schema(fields))
