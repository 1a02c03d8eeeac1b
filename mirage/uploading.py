"""From whatever a caller has as a table to the bytes that travel."""

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import IOBase
from mimetypes import guess_type
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anyio import to_thread

from mirage.errors import UnusableTable

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 1024 * 1024
PARQUET_TYPE = "application/vnd.apache.parquet"
_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".parquet": PARQUET_TYPE,
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class Upload:
    """A file that is ready to be sent."""

    path: Path
    name: str
    """What the dataset is called if nobody says."""
    content_type: str
    sha256: str
    """Of the whole file, in hexadecimal."""

    def chunks(self) -> Iterator[bytes]:
        """Reads the file from its beginning, at most 1 MiB at a time; an empty file gives one empty chunk."""
        with self.path.open("rb") as file:
            yield file.read(CHUNK_BYTES)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


@contextmanager
def prepare(source: Any) -> Iterator[Upload]:
    """Makes a file of a table; a file that is there already is taken as it is, whatever its format.

    Args:
        source: a pandas DataFrame, a pyarrow Table, anything else that speaks Arrow (polars, DuckDB), a path, bytes, or
            a binary file.

    Raises:
        UnusableTable: if it is none of these, there is no such file, or its types have no place in a table.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        if not path.is_file():
            raise UnusableTable(f"There is no file at {path}.", reason="NO_SUCH_FILE")
        yield _of_file(path, path.name)
        return
    with tempfile.TemporaryDirectory(prefix="mirage-upload-") as folder:
        path = Path(folder) / "table"
        if isinstance(source, bytes | bytearray | memoryview):
            path.write_bytes(source)
            yield _of_file(path, "table")
        elif isinstance(source, IOBase) or callable(getattr(source, "read", None)):
            name = _copy(source, path)
            yield _of_file(path, name)
        else:
            _write_parquet(as_arrow(source), path)
            yield _of_file(path, "table", PARQUET_TYPE)


@asynccontextmanager
async def prepared(source: Any) -> AsyncIterator[Upload]:
    """Does as `prepare` does, in another thread."""
    preparation = prepare(source)
    upload = await to_thread.run_sync(preparation.__enter__)
    try:
        yield upload
    finally:
        preparation.__exit__(None, None, None)


def as_arrow(source: Any) -> "pa.Table":
    """Returns a table of any library as an Arrow table with text for column names.

    The index of a DataFrame comes along where it has a name. Categories become what they stand for.

    Raises:
        UnusableTable: if it isn't a table, or a column mixes types.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        if isinstance(source, pa.Table):
            table = source
        elif isinstance(source, pd.DataFrame):
            named_index = [name for name in source.index.names if name is not None]
            frame = source.reset_index(level=named_index) if named_index else source
            frame = frame.rename(columns=str)
            _refuse_doubles(list(frame.columns))
            table = pa.Table.from_pandas(frame, preserve_index=False)
        else:
            table = pa.table(source)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UnusableTable(f"A column has values of more than one type: {error}", reason="MIXED_TYPES") from None
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise UnusableTable(
            f"A {type(source).__name__} can't be sent as a table: {error}", reason="NOT_A_TABLE"
        ) from None
    _refuse_doubles(table.column_names)
    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            plain = table.column(position).cast(field.type.value_type)
            table = table.set_column(position, field.name, plain)
    return table.replace_schema_metadata(None)


def content_type_of(name: str) -> str:
    """Returns the media type that a file's name suggests; the platform looks at the content anyway."""
    return _TYPES.get(Path(name).suffix.lower()) or guess_type(name)[0] or "application/octet-stream"


def _write_parquet(table: "pa.Table", path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        parquet.write_table(table, path, compression="zstd")
    except pa.ArrowException as error:
        raise UnusableTable(f"The table can't be written as Parquet: {error}", reason="NOT_A_TABLE") from None


def _refuse_doubles(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UnusableTable(f"More than one column is called {', '.join(twice)}.", reason="DUPLICATE_COLUMNS")


def _copy(source: IO[Any], path: Path) -> str:
    """Copies an open file from where it stands, and returns its name."""
    with path.open("wb") as file:
        try:
            shutil.copyfileobj(source, file, CHUNK_BYTES)
        except TypeError:
            raise UnusableTable("The file is open as text; open it as bytes (mode 'rb').", reason="TEXT_FILE") from None
    name = getattr(source, "name", None)
    return Path(name).name if isinstance(name, str) else "table"


def _of_file(path: Path, name: str, content_type: str = "") -> Upload:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Upload(path, Path(name).stem or name, content_type or content_type_of(name), sha256)
