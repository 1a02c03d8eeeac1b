"""Reading a dataset: what was uploaded is what comes back, by pages, as a file, as a profile, and by URL."""

import io
import json
from datetime import date

import httpx
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servicekit.structs import from_struct
from services.dataset.rows import read_page
from tests.dataset.service.platform import CSV, Client, Platform
from tests.dataset.service.tables import small_table
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST = {"id": 1000, "age": 18, "city": "Vienna", "joined": "2024-01-17"}


async def test_from_upload_to_export(user: Client) -> None:
    """A CSV file that is uploaded is ready when the call returns, and comes back as the same file."""
    dataset = await user.upload(name="Grüße: a/b")
    content, headers = await user.export(dataset.dataset_id)
    assert content == CSV
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert headers["x-raw-body"] == "1"
    assert "filename*=UTF-8''Gr%C3%BC%C3%9Fe_%20a_b.csv" in headers["content-disposition"]
    assert headers["content-disposition"].isascii()


async def test_export_in_every_format(user: Client) -> None:
    """Types survive every format: integers stay integers, dates stay dates."""
    dataset = await user.upload()
    files = {name: (await user.export(dataset.dataset_id, name))[0] for name in ("json", "jsonl", "xlsx", "parquet")}
    assert json.loads(files["json"])[0] == FIRST
    assert [json.loads(line) for line in files["jsonl"].splitlines()][59]["id"] == 1059
    table = pq.read_table(io.BytesIO(files["parquet"]))
    assert table.schema.field("joined").type == pa.date32()
    assert table.to_pylist() == small_table().to_pylist()
    sheet = openpyxl.load_workbook(io.BytesIO(files["xlsx"])).active
    cells = [cell.value for cell in sheet[2]]
    assert [cells[0], cells[1], cells[2], cells[3].date()] == [1000, 18, "Vienna", date(2024, 1, 17)]
    headers = (await user.export(dataset.dataset_id, "parquet"))[1]
    assert headers["x-content-length"] == str(len(files["parquet"]))
    async with refused("INVALID_REQUEST") as refusal:
        await user.export(dataset.dataset_id, "docx")
    assert "format" in refusal.violations


async def test_exports_leave_no_files(platform: Platform, user: Client) -> None:
    """What an export needs on disk is gone after it, and after one that the caller breaks off."""
    dataset = await user.upload()
    await user.export(dataset.dataset_id, "xlsx")
    async with refused("INVALID_REQUEST"):
        await user.export(dataset.dataset_id, "zip")
    assert not platform.private_files()


async def test_rows_by_pages(user: Client) -> None:
    """Rows come in the order of the file, page by page, of the version that the first page was of."""
    dataset = await user.upload()
    first = await user.rows(dataset.dataset_id, page_size=25)
    assert list(first.columns) == [column.name for column in dataset.columns]
    await user.add_version(dataset.dataset_id, b"other\n1\n2\n")
    second = await user.rows(dataset.dataset_id, page_size=25, page_token=first.next_page_token)
    third = await user.rows(dataset.dataset_id, page_size=25, page_token=second.next_page_token)
    rows = [from_struct(row) for page in (first, second, third) for row in page.rows]
    assert rows[0] == FIRST
    assert [row["id"] for row in rows] == list(range(1000, 1060))
    assert (len(third.rows), third.next_page_token) == (10, "")
    assert len((await user.rows(dataset.dataset_id)).rows) == 2
    async with refused("INVALID_REQUEST"):
        await user.rows(dataset.dataset_id, version=1, page_token=first.next_page_token)


async def test_cells(user: Client) -> None:
    """Missing cells are null, integers that a double can't hold are text, times are ISO 8601, truth is truth."""
    content = (
        b"big,small,share,seen,ok,note\n"
        b"9007199254740993,1,0.5,2024-02-29T12:30:00,true,x\n"
        b"12,,1.25,2024-03-01T00:00:00,false,\n"
    )
    dataset = await user.upload(content)
    one, two = [from_struct(row) for row in (await user.rows(dataset.dataset_id)).rows]
    assert one == {
        "big": "9007199254740993",
        "small": 1,
        "share": 0.5,
        "seen": "2024-02-29T12:30:00",
        "ok": True,
        "note": "x",
    }
    assert two == {"big": 12, "small": None, "share": 1.25, "seen": "2024-03-01T00:00:00", "ok": False, "note": None}


async def test_rows_too_large_for_one_message(user: Client) -> None:
    """A page has fewer rows than asked for where more wouldn't fit into a message; the next goes on from there."""
    wide = b"text\n" + b"".join(b"%05d%s\n" % (number, b"y" * 9995) for number in range(500))
    dataset = await user.upload(wide)
    page = await user.rows(dataset.dataset_id, page_size=1000)
    assert 200 < len(page.rows) < 500
    rest = await user.rows(dataset.dataset_id, page_size=1000, page_token=page.next_page_token)
    assert len(page.rows) + len(rest.rows) == 500


@pytest.mark.parametrize(("offset", "limit"), [(0, 3), (8, 4), (9, 25), (39, 5), (20, 10), (40, 5), (1000, 5)])
async def test_rows_across_row_groups(platform: Platform, user: Client, offset: int, limit: int) -> None:
    """A page is made of just those row groups that it lies in, wherever it begins and ends."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"number": range(40)}), sink, row_group_size=10)
    key = f"{user.user_id}/groups.parquet"
    await platform.store.put_bytes(key, sink.getvalue())
    page = await read_page(platform.store, key, offset, limit)
    assert [row["number"] for row in page.rows] == list(range(40))[offset : offset + limit]
    assert page.next_offset == (offset + limit if offset + limit < 40 else None)


async def test_profile(user: Client) -> None:
    """The profile tells of every column, in the contract's own shape."""
    dataset = await user.upload()
    profile = await user.profile(dataset.dataset_id)
    assert (profile.dataset_id, profile.version, profile.row_count) == (dataset.dataset_id, 1, 60)
    columns = {column.name: column for column in profile.columns}
    assert (columns["age"].numeric.minimum, columns["age"].numeric.maximum) == (18, 77)
    assert {entry.value: entry.count for entry in columns["city"].top_values} == {"Vienna": 20, "Graz": 20, "Linz": 20}
    assert columns["joined"].temporal.minimum == "2024-01-17"
    async with refused("DATASET_VERSION_NOT_FOUND"):
        await user.profile(dataset.dataset_id, version=7)


@pytest.mark.parametrize(("wanted", "name"), [("", "people.parquet"), ("parquet", "people.parquet")])
async def test_signed_url_of_the_table(user: Client, wanted: str, name: str) -> None:
    """Whoever has the URL fetches the table, without a token, under the dataset's name."""
    dataset = await user.upload()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(await user.url(dataset.dataset_id, format=wanted))
    assert name in answer.headers["content-disposition"]
    assert pq.read_table(io.BytesIO(answer.content)).to_pylist() == small_table().to_pylist()


async def test_signed_url_of_the_original(user: Client) -> None:
    """The file as it was uploaded is kept untouched; URLs are good for a day at most."""
    dataset = await user.upload()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(await user.url(dataset.dataset_id, format="original", expires=60))
    assert answer.content == CSV
    assert "people.csv" in answer.headers["content-disposition"]
    for wrong in ({"expires": 86_401}, {"expires": -1}, {"format": "csv"}):
        async with refused("INVALID_REQUEST") as refusal:
            await user.url(dataset.dataset_id, **wrong)
        assert set(refusal.violations) == set(wrong)
