"""From a table in Python to the bytes that travel."""

import asyncio
import io
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from mirage import AsyncClient
from mirage.errors import InvalidRequest, UnusableTable, Violation
from mirage.uploading import CHUNK_BYTES, PARQUET_TYPE, as_arrow
from tests.client.platform import SmallPlatform


def mixed_frame() -> pd.DataFrame:
    """A frame with one column of every kind, each with a missing value where its type can have one."""
    return pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "whole_missing": pd.array([1, None, 3], dtype="Int64"),
            "real": [0.5, None, 2.5],
            "truth": [True, False, True],
            "truth_missing": pd.array([True, None, False], dtype="boolean"),
            "day": [date(2013, 1, 1), None, date(2013, 1, 3)],
            "moment": pd.to_datetime(["2013-01-01 10:00", None, "2013-01-03 11:30"]),
            "word": ["a", None, "c"],
            "kind": pd.Categorical(["x", None, "y"]),
        }
    )


async def test_frame_travels_as_parquet(platform: SmallPlatform, client: AsyncClient) -> None:
    """A DataFrame arrives as Parquet with every type and every missing value; its name and checksum come first."""
    dataset = await client.datasets.upload(mixed_frame(), name="mixed", description="of all kinds", wait=False)
    (upload,) = platform.uploads
    assert (dataset.name, upload.opening.description, upload.opening.visibility) == ("mixed", "of all kinds", "private")
    assert upload.opening.body.content_type == PARQUET_TYPE
    table = parquet.read_table(io.BytesIO(upload.data))
    types = {field.name: field.type for field in table.schema}
    assert types["whole"] == types["whole_missing"] == pa.int64()
    assert types["real"] == pa.float64()
    assert types["truth"] == types["truth_missing"] == pa.bool_()
    assert types["day"] == pa.date32()
    assert pa.types.is_timestamp(types["moment"])
    assert types["kind"] == types["word"] == pa.string()
    missing = {name: table.column(name).null_count for name in table.column_names}
    assert missing == {name: 0 if name in ("whole", "truth") else 1 for name in missing}


async def test_large_file_travels_in_chunks(platform: SmallPlatform, client: AsyncClient, tmp_path: Path) -> None:
    """A file travels as it is, in pieces of at most 1 MiB, under its own name."""
    path = tmp_path / "numbers.csv"
    content = b"a,b\n" + b"1,2\n" * 700_000
    path.write_bytes(content)
    sent: list[tuple[int, int]] = []
    await client.datasets.send(path, sent=lambda done, total: sent.append((done, total)))
    (upload,) = platform.uploads
    assert upload.data == content
    assert upload.largest_chunk == CHUNK_BYTES
    assert (upload.opening.name, upload.opening.body.content_type) == ("numbers", "text/csv")
    assert sent[-1] == (len(content), len(content))


async def test_upload_is_made_again_with_a_new_token(platform: SmallPlatform, client: AsyncClient) -> None:
    """An upload whose token is refused is sent a second time, whole."""
    platform.good_tokens.clear()
    await client.datasets.upload(b"a\n1\n", name="small", wait=False)
    assert [upload.data for upload in platform.uploads] == [b"a\n1\n"]


async def test_open_file_and_empty_file(platform: SmallPlatform, client: AsyncClient, tmp_path: Path) -> None:
    """An open binary file is read from where it stands; an empty one is sent for the platform to judge."""
    await client.datasets.upload(io.BytesIO(b"a\n1\n"), wait=False)
    (tmp_path / "empty.csv").touch()
    await client.datasets.upload(str(tmp_path / "empty.csv"), wait=False)
    assert [upload.data for upload in platform.uploads] == [b"a\n1\n", b""]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("/nowhere/table.csv", "NO_SUCH_FILE"),
        (pd.DataFrame({"a": [1, "x", date(2013, 1, 1)]}), "MIXED_TYPES"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "DUPLICATE_COLUMNS"),
        (io.StringIO("a\n1\n"), "TEXT_FILE"),
        (object(), "NOT_A_TABLE"),
        (7, "NOT_A_TABLE"),
    ],
)
async def test_what_is_no_table(platform: SmallPlatform, client: AsyncClient, source: object, reason: str) -> None:
    """What can't be sent as a table is refused before anything is sent, and the error says what would do."""
    with pytest.raises(UnusableTable) as caught:
        await client.datasets.upload(source, wait=False)
    assert caught.value.reason == reason
    assert caught.value.hint
    assert not platform.uploads


def test_named_index_comes_along() -> None:
    """An index with a name becomes a column, one without is left out; names that aren't text become text."""
    frame = pd.DataFrame({0: [1.5, 2.5]}, index=pd.Index(["x", "y"], name="key"))
    assert as_arrow(frame).to_pydict() == {"key": ["x", "y"], "0": [1.5, 2.5]}
    assert as_arrow(frame.reset_index(drop=True)).to_pydict() == {"0": [1.5, 2.5]}


def test_anything_that_speaks_arrow() -> None:
    """Objects that hand out Arrow data, as those of other libraries, are taken as tables."""

    class Speaks:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.table({"a": [datetime(2013, 1, 1)]}).__arrow_c_stream__(requested_schema)  # noqa: DTZ001

    assert as_arrow(Speaks()).column_names == ["a"]


async def test_early_refusal_is_told(platform: SmallPlatform, client: AsyncClient) -> None:
    """What the server says when it ends an upload before all is sent reaches the caller, every time."""
    for _ in range(20):
        with pytest.raises(InvalidRequest) as caught:
            await client.datasets.upload(b"x" * (5 * CHUNK_BYTES), name="too large", wait=False)
        assert caught.value.violations == (Violation("file", "is too large"),)


async def test_interrupted_upload_ends(platform: SmallPlatform, client: AsyncClient) -> None:
    """An upload that is cancelled ends its call; the client can be used afterwards."""
    upload = asyncio.create_task(client.datasets.upload(b"x" * CHUNK_BYTES, name="wait", wait=False))
    await platform.receiving.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert (await client.datasets.upload(b"a\n1\n", name="small", wait=False)).name == "small"


async def test_file_that_can_t_be_read(platform: SmallPlatform, client: AsyncClient, tmp_path: Path) -> None:
    """A fault of the file is told as such, not as one of the platform."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await client.datasets.upload(Broken(b"a\n1\n"), wait=False)
