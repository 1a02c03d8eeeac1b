"""Whether a source has certain values, told from its Parquet object without fetching all of it."""

from collections.abc import Collection, Mapping

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import JsonValue

from servicekit.errors import Unavailable
from servicekit.ranged_file import RangedFile
from services.generation.sources import Source
from services.generation.tables.integers import is_whole
from services.generation.tables.values import parse_value

_TIMEOUT_SECONDS = 10.0
# Of one column; what a larger one holds shows when the job reads the table.
_MOST_BYTES = 64 * 1024 * 1024


def values_not_there(source: Source, wanted: Mapping[str, JsonValue], categories: Collection[str]) -> dict[str, str]:
    """What is wrong with values that a table should have, by column; None asks for a missing one.

    A value of `categories` must be there itself; a number or a time only within the range of those that are.

    Raises:
        Unavailable: the object store can't be reached, or has not the object.
    """
    if not wanted:
        return {}
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as client, _opened(client, source) as file:
            faults = {name: _fault(file, name, value, is_category=name in categories) for name, value in wanted.items()}
    except httpx.HTTPError as error:
        raise Unavailable("dataset's table") from error
    return {name: fault for name, fault in faults.items() if fault}


def _opened(client: httpx.Client, source: Source) -> pq.ParquetFile:
    def fetch(position: int, count: int) -> bytes:
        answer = client.get(source.table_url, headers={"range": f"bytes={position}-{position + count - 1}"})
        return answer.raise_for_status().content

    return pq.ParquetFile(RangedFile(source.table_bytes, fetch))


def _fault(file: pq.ParquetFile, name: str, value: JsonValue, *, is_category: bool) -> str:
    """What is wrong with one value; empty if nothing is."""
    type_ = file.schema_arrow.field(name).type
    try:
        array = None if value is None else parse_value(value, type_)
    except ValueError as error:
        return str(error)
    groups = range(file.metadata.num_row_groups)
    column = file.schema_arrow.get_field_index(name)
    if sum(file.metadata.row_group(group).column(column).total_compressed_size for group in groups) > _MOST_BYTES:
        return ""
    as_number = not is_category and (is_whole(type_) or pa.types.is_floating(type_))
    below = above = False
    for group in groups:
        values = file.read_row_group(group, columns=[name]).column(0)
        if array is None:
            if values.null_count:
                return ""
        elif as_number:
            below = below or bool(pc.any(pc.less_equal(values, array[0])).as_py())
            above = above or bool(pc.any(pc.greater_equal(values, array[0])).as_py())
            if below and above:
                return ""
        elif pc.any(pc.equal(values, array[0])).as_py():
            return ""
    if array is None:
        return "no value of it is missing"
    return "it is outside the source's range" if as_number else "the source doesn't have this value"
