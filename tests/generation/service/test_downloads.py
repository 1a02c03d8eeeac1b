"""Synthetic tables as files: every format with its types, the zip, the signed URL, the metadata document."""

import io
import json
import zipfile

import httpx
import openpyxl
import pandas as pd
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from grpc import StatusCode

from mirage.generation.v1 import job_pb2
from servicekit.structs import from_struct
from tests.generation.service.hand import Hand
from tests.generation.service.platform import SCHEMA, Client, Platform, people
from tests.support.errors import refused

TABLE = people(40, seed=3)


async def finished(platform: Platform, hand: Hand, **fields: object) -> tuple[Client, str]:
    """A user with a job that made `TABLE`."""
    user = platform.user()
    job = await user.start(await platform.dataset(user), **fields)
    await hand.succeed(await hand.take(), TABLE)
    return user, job.job_id


async def test_text_formats_keep_what_they_can(platform: Platform, hand: Hand) -> None:
    """CSV, JSON lines and JSON hold the same cells: missing ones, dates, integers, in the table's order."""
    user, job_id = await finished(platform, hand)
    content, headers = await user.download(job_id)
    options = pyarrow.csv.ConvertOptions(column_types=SCHEMA)
    assert pyarrow.csv.read_csv(io.BytesIO(content), convert_options=options).equals(TABLE)
    assert headers["x-raw-body"] == "1"
    assert "people%20gaussian_copula.csv" in headers["content-disposition"]
    lines, _ = await user.download(job_id, "jsonl")
    rows = [{**row, "joined": row["joined"].isoformat()} for row in TABLE.to_pylist()]
    assert [json.loads(line) for line in lines.splitlines()] == rows
    assert [list(json.loads(line)) for line in lines.splitlines()] == [SCHEMA.names] * len(TABLE)
    array, headers = await user.download(job_id, "json")
    assert json.loads(array) == rows
    assert headers["content-disposition"].startswith("attachment;")


async def test_parquet_is_the_stored_object(platform: Platform, hand: Hand) -> None:
    """Parquet comes as it is stored, its length announced, by stream and by signed URL, with the hash of the job."""
    user, job_id = await finished(platform, hand)
    content, headers = await user.download(job_id, "parquet")
    assert pq.read_table(io.BytesIO(content)).equals(TABLE)
    assert headers["x-content-length"] == str(len(content))
    signed = await user.jobs.GetTableDownloadUrl(job_pb2.GetTableDownloadUrlRequest(job_id=job_id, expires=60))
    async with httpx.AsyncClient() as client:
        fetched = await client.get(signed.url)
    assert fetched.content == content
    assert ".parquet" in fetched.headers["content-disposition"]
    assert len(content) == (await user.get(job_id)).table_bytes


async def test_workbook(platform: Platform, hand: Hand) -> None:
    """The workbook has real numbers, dates and booleans."""
    user, job_id = await finished(platform, hand)
    content, _ = await user.download(job_id, "xlsx")
    rows = list(openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True))
    assert list(rows[0]) == TABLE.column_names
    first = TABLE.slice(0, 1).to_pylist()[0]
    found = dict(zip(rows[0], rows[1], strict=True))
    assert pd.Timestamp(found["joined"]).date() == first["joined"]
    assert (found["person_id"], found["active"], found["income"]) == (
        first["person_id"],
        first["active"],
        first["income"],
    )


async def test_zip_with_metadata(platform: Platform, hand: Hand) -> None:
    """With `include_metadata` a download is a zip of the table and the document; a format that is named wins."""
    user, job_id = await finished(platform, hand, include_metadata=True, output_format="jsonl", name="Größe/1")
    content, headers = await user.download(job_id)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["Größe_1.jsonl", "Größe_1.metadata.json"]
        assert archive.testzip() is None
        lines = archive.read("Größe_1.jsonl")
        document = json.loads(archive.read("Größe_1.metadata.json"))
    assert lines == (await user.download(job_id, "jsonl"))[0]
    assert headers["content-disposition"].isascii()
    answer = await user.jobs.GetJobMetadata(job_pb2.GetJobMetadataRequest(job_id=job_id))
    assert document == from_struct(answer.metadata)
    job = await user.get(job_id)
    assert document["settings"]["seed"] == job.seed
    assert document["table"]["sha256"] == job.table_sha256
    assert document["dataset"]["dataset_id"] == job.dataset_id


async def test_an_explicit_zip(platform: Platform, hand: Hand) -> None:
    """`zip` can be asked for though the job didn't."""
    user, job_id = await finished(platform, hand)
    content, _ = await user.download(job_id, "zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert [name.rpartition(".")[2] for name in archive.namelist()] == ["csv", "json"]


@pytest.mark.parametrize("wrong", ["doc", "CSV", "../csv"])
async def test_unknown_formats(platform: Platform, hand: Hand, wrong: str) -> None:
    """A format that isn't there is refused with those that are."""
    user, job_id = await finished(platform, hand)
    async with refused("INVALID_REQUEST") as refusal:
        await user.download(job_id, wrong)
    assert "parquet" in refusal.violations["format"]


async def test_too_early(platform: Platform) -> None:
    """A job that hasn't ended has no table, no URL and no metadata."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    async with refused("TABLE_NOT_READY", StatusCode.FAILED_PRECONDITION):
        await user.download(job.job_id)
    async with refused("TABLE_NOT_READY"):
        await user.jobs.GetTableDownloadUrl(job_pb2.GetTableDownloadUrlRequest(job_id=job.job_id))
    async with refused("TABLE_NOT_READY"):
        await user.jobs.GetJobMetadata(job_pb2.GetJobMetadataRequest(job_id=job.job_id))


async def test_how_long_a_url_is_good(platform: Platform, hand: Hand) -> None:
    """An hour where nothing is said; never more than a day, nor less than no time."""
    user, job_id = await finished(platform, hand)
    signed = await user.jobs.GetTableDownloadUrl(job_pb2.GetTableDownloadUrlRequest(job_id=job_id))
    assert "X-Amz-Expires=3600" in signed.url
    for expires in (-1, 86_401):
        async with refused("INVALID_REQUEST") as refusal:
            await user.jobs.GetTableDownloadUrl(job_pb2.GetTableDownloadUrlRequest(job_id=job_id, expires=expires))
        assert "expires" in refusal.violations


async def test_a_table_whose_object_is_gone(platform: Platform, hand: Hand) -> None:
    """A download that finds no object fails before its first byte, as an error that a client understands."""
    user, job_id = await finished(platform, hand)
    await platform.store.remove(await platform.objects(user))
    for table_format in ("csv", "parquet"):
        async with refused("JOB_NOT_FOUND"):
            await user.download(job_id, table_format)
