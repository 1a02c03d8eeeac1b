"""From the bytes that arrive to a table in Python, or a file."""

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from google.protobuf.struct_pb2 import Struct

from mirage import AsyncClient
from mirage.errors import InvalidRequest, Unavailable
from mirage.records.dataset import row_of
from mirage.tables import target, to_pandas
from tests.client.platform import SmallPlatform


def test_types_survive_missing_values() -> None:
    """Integers and booleans stay what they are where values are missing; columns without gaps get the usual types."""
    frame = to_pandas(
        pa.table(
            {
                "whole": pa.array([1, 2], pa.int64()),
                "whole_missing": pa.array([2**60 + 1, None], pa.int64()),
                "truth_missing": pa.array([True, None]),
                "day": pa.array([date(2013, 1, 1), None]),
            }
        )
    )
    assert [str(kind) for kind in frame.dtypes] == ["int64", "Int64", "boolean", "object"]
    assert frame["whole_missing"][0] == 2**60 + 1
    assert frame["day"][0] == date(2013, 1, 1)


def test_table_without_rows() -> None:
    """A table without rows keeps its columns."""
    assert list(to_pandas(pa.table({"a": pa.array([], pa.int64())})).columns) == ["a"]


async def test_job_gives_its_table(platform: SmallPlatform, client: AsyncClient, tmp_path: Path) -> None:
    """A job's table is had as a DataFrame with its types, and as a file whose ending says the format."""
    platform.add_events(1, last=True)
    job = await client.jobs.get("job")
    frame = await job.dataframe()
    assert str(frame["a"].dtype) == "Int64"
    assert frame["a"].isna().tolist() == [False, True, False]
    written = await job.download(tmp_path / "made" / "table.csv")
    assert written.read_bytes() == b"a,b\n1,x\n"
    assert pd.read_parquet(await job.download(tmp_path, "parquet")).shape == (3, 2)
    assert (tmp_path / "flights.parquet").is_file()


def contents(directory: Path) -> dict[str, str]:
    """Returns what a directory's files hold, by name."""
    return {path.name: path.read_text() for path in directory.iterdir()}


async def test_broken_download_leaves_nothing(platform: SmallPlatform, client: AsyncClient, tmp_path: Path) -> None:
    """A download that breaks off leaves no file, and doesn't touch one that was there."""
    platform.add_events(1, last=True)
    (tmp_path / "table.json").write_text("before")
    job = await client.jobs.get("job")
    with pytest.raises(Unavailable):
        await job.download(tmp_path / "table.json")
    assert contents(tmp_path) == {"table.json": "before"}


def test_file_and_format(tmp_path: Path) -> None:
    """The format is the one asked for, else the file's ending, else the default; a directory gets a proper name."""
    assert target("t.parquet", None, "csv", "stem") == (Path("t.parquet"), "parquet")
    assert target("t.ndjson", None, "csv", "stem") == (Path("t.ndjson"), "jsonl")
    assert target("t.data", "json", "csv", "stem") == (Path("t.data"), "json")
    assert target("t", None, "csv", "stem") == (Path("t"), "csv")
    assert target(tmp_path, None, "csv", "../a/b: c") == (tmp_path / "a-b- c.csv", "csv")
    with pytest.raises(InvalidRequest, match="format"):
        target("t.docx", None, "csv", "stem")


async def test_lists_go_through_every_page(platform: SmallPlatform, client: AsyncClient) -> None:
    """A list has every item of every page, once; with a limit so many and no more."""
    everything = await client.datasets.list()
    assert len({dataset.id for dataset in everything}) == len(everything) == 450
    assert [dataset.id for dataset in await client.datasets.list(limit=3)] == ["id-0", "id-1", "id-2"]


def test_rows_keep_order_and_integers() -> None:
    """A row comes in the order of the columns, with integers as integers, however large."""
    types = {"z": "integer", "big": "integer", "a": "float", "gap": "integer"}
    told = Struct()
    told.update({"a": 1.0, "big": str(2**60), "gap": None, "z": 3.0})
    row = row_of(told, ["z", "big", "a", "gap"], types)
    assert list(row.items()) == [("z", 3), ("big", 2**60), ("a", 1.0), ("gap", None)]
    assert [type(value) for value in row.values()] == [int, int, float, type(None)]
