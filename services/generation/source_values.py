"""Whether a source has certain values, told from its Parquet object without fetching all of it."""

from collections.abc import Collection, Mapping
from typing import Protocol

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
# Read of one column, beside what its statistics tell; what they leave open shows when the job reads the table.
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
    as_number = not is_category and (is_whole(type_) or pa.types.is_floating(type_))
    if array is None:
        search: _Search = _Missing()
    else:
        search = _Range(array[0]) if as_number else _Same(array[0])
    return search.fault if _found(file, name, search) is False else ""


def _found(file: pq.ParquetFile, name: str, search: "_Search") -> bool | None:
    """Whether a search finds what it looks for in a column; None where that would take too much reading."""
    column = file.schema_arrow.get_field_index(name)
    left, unread = _MOST_BYTES, False
    for group in range(file.metadata.num_row_groups):
        chunk = file.metadata.row_group(group).column(column)
        told = search.among_statistics(chunk.statistics) if chunk.is_stats_set else None
        if told is None and chunk.total_compressed_size > left:
            unread = True
            continue
        if told is None:
            left -= chunk.total_compressed_size
            told = search.among(file.read_row_group(group, columns=[name]).column(0))
        if told:
            return True
    return None if unread else False


class _Search(Protocol):
    """Looks for something in a column, one group of rows after the other."""

    fault: str
    """What is wrong if it isn't there."""

    def among_statistics(self, statistics: pq.Statistics) -> bool | None:
        """Whether it has been found, as far as a group's statistics tell; None if its values have to be read."""
        ...

    def among(self, values: pa.ChunkedArray) -> bool:
        """Whether it has been found with these values."""
        ...


class _Missing:
    """A missing value."""

    fault = "no value of it is missing"

    def among_statistics(self, statistics: pq.Statistics) -> bool | None:
        return statistics.null_count > 0 if statistics.has_null_count else None

    def among(self, values: pa.ChunkedArray) -> bool:
        return bool(values.null_count)


class _Same:
    """The same value."""

    fault = "the source doesn't have this value"

    def __init__(self, value: pa.Scalar) -> None:
        self._value = value

    def among_statistics(self, statistics: pq.Statistics) -> bool | None:
        if not statistics.num_values:  # of those that aren't missing
            return False
        extremes = _extremes(statistics, self._value.type)
        return None if extremes is None or _within(self._value, *extremes) else False

    def among(self, values: pa.ChunkedArray) -> bool:
        return bool(pc.any(pc.equal(values, self._value)).as_py())


class _Range:
    """A value no greater, and one no smaller; that may be in another group."""

    fault = "it is outside the source's range"

    def __init__(self, value: pa.Scalar) -> None:
        self._value = value
        self._below = self._above = False

    def among_statistics(self, statistics: pq.Statistics) -> bool | None:
        if not statistics.num_values:
            return False
        extremes = _extremes(statistics, self._value.type)
        return None if extremes is None else self._among(*extremes)

    def among(self, values: pa.ChunkedArray) -> bool:
        extremes = pc.min_max(values)
        return extremes["min"].is_valid and self._among(extremes["min"], extremes["max"])

    def _among(self, lowest: pa.Scalar, highest: pa.Scalar) -> bool:
        self._below = self._below or bool(pc.less_equal(lowest, self._value).as_py())
        self._above = self._above or bool(pc.greater_equal(highest, self._value).as_py())
        return self._below and self._above


def _within(value: pa.Scalar, lowest: pa.Scalar, highest: pa.Scalar) -> bool:
    return bool(pc.and_(pc.less_equal(lowest, value), pc.greater_equal(highest, value)).as_py())


def _extremes(statistics: pq.Statistics, type_: pa.DataType) -> tuple[pa.Scalar, pa.Scalar] | None:
    """The smallest and the largest value; None where the statistics have none, or none that is told exactly."""
    if not statistics.has_min_max or pa.types.is_dictionary(type_):
        return None
    try:
        return pa.scalar(statistics.min, type_), pa.scalar(statistics.max, type_)
    except (pa.ArrowException, TypeError, ValueError):
        return None
