"""Uploads: raw bytes and forms, every format, and what is said of those that are wrong."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc import StatusCode

from mirage.dataset.v1 import dataset_pb2 as pb
from tests.dataset.service.platform import CSV, Client, Platform, form
from tests.dataset.service.tables import as_file
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPES = {"id": "identifier", "age": "integer", "city": "categorical", "joined": "date"}


def types_of(dataset: pb.Dataset) -> dict[str, str]:
    """Each column's type, in order."""
    return {column.name: column.type for column in dataset.columns}


@pytest.mark.parametrize("table_format", ["csv", "json", "jsonl", "xlsx", "parquet"])
async def test_every_format(user: Client, table_format: str) -> None:
    """Content decides the format, not what the caller says; the table is the same from each."""
    content = as_file(table_format)
    dataset = await user.upload(content, content_type="application/octet-stream")
    assert dataset.state == pb.DATASET_STATE_READY
    assert (dataset.source_format, dataset.source_bytes) == (table_format, len(content))
    assert dataset.source_sha256 == hashlib.sha256(content).hexdigest()
    assert types_of(dataset) == TYPES
    assert (await user.export(dataset.dataset_id))[0] == CSV


@pytest.mark.parametrize("pieces", [1, 7, 64, 100_000])
async def test_a_form_in_pieces(user: Client, pieces: int) -> None:
    """A form is taken apart wherever it is cut into messages, with fields before and after the file."""
    parts = [
        ("description", "Ages & cities, år 2024".encode(), ""),
        ("file", CSV, "C:\\tables\\people of Graz.csv"),
        ("visibility", b"public", ""),
    ]
    dataset = await user.upload_form(form(parts), pieces=pieces)
    assert (dataset.name, dataset.description) == ("people of Graz", "Ages & cities, år 2024")
    assert (dataset.visibility, dataset.row_count) == ("public", 60)
    assert dataset.source_sha256 == hashlib.sha256(CSV).hexdigest()


async def test_a_forms_name_goes_before_the_files(user: Client) -> None:
    """A name in the form names the dataset; one in the URL does where the form has none."""
    parts = [("file", CSV, "people.csv")]
    named = await user.upload_form(form([*parts, ("name", b" From the form ", "")]), pieces=4096, name="from the URL")
    unnamed = await user.upload_form(form(parts), pieces=4096, name="from the URL")
    assert (named.name, unnamed.name) == ("From the form", "from the URL")


async def test_not_waiting(user: Client) -> None:
    """Without waiting the answer comes while the file is still being read in; watching tells when it is ready."""
    dataset = await user.upload(wait=False)
    assert (dataset.state, dataset.row_count) == (pb.DATASET_STATE_PROCESSING, 0)
    events = await user.events(dataset.dataset_id)
    assert events[-1].state == pb.DATASET_STATE_READY
    assert types_of(await user.get(dataset.dataset_id)) == TYPES


async def test_an_unreadable_file(platform: Platform, user: Client) -> None:
    """Who waited hears where the file is wrong, and nothing is left; who didn't wait finds the error in the dataset."""
    broken = b'[{"a": 1}, {"a": 2}, {"a": '
    async with refused("DATASET_UNREADABLE", StatusCode.INVALID_ARGUMENT) as refusal:
        await user.upload(broken)
    assert await platform.nothing_left(user)
    dataset = await user.upload(broken, wait=False)
    events = await user.events(dataset.dataset_id)
    assert (events[-1].stage, events[-1].error.message) == ("failed", refusal.message)
    dataset = await user.get(dataset.dataset_id)
    assert dataset.state == pb.DATASET_STATE_FAILED
    assert (dataset.error.code, dataset.error.message) == (StatusCode.INVALID_ARGUMENT.value[0], refusal.message)
    async with refused("DATASET_NOT_READY"):
        await user.rows(dataset.dataset_id)
    await user.delete(dataset.dataset_id)
    assert await platform.nothing_left(user)


async def test_everything_wrong_at_once(platform: Platform, user: Client) -> None:
    """Every wrong field of an upload is named, with what would be right, and nothing is kept."""
    async with refused("INVALID_REQUEST") as refusal:
        await user.upload(name="two\nlines", visibility="secret", description="x" * 2001, sha256="abc")
    assert set(refusal.violations) == {"name", "visibility", "description", "sha256"}
    parts = [("file", CSV, "p.csv"), ("name", b"n" * 201, ""), ("colour", b"red", ""), ("visibility", b"?", "")]
    async with refused("INVALID_REQUEST") as refusal:
        await user.upload_form(form(parts), pieces=4096)
    assert set(refusal.violations) == {"name", "colour", "visibility"}
    assert await platform.nothing_left(user)


async def test_what_is_missing(platform: Platform, user: Client) -> None:
    """A raw body without a name, a form without a file and an empty file are refused, saying so."""
    async with refused("INVALID_REQUEST") as refusal:
        await user.upload(name="")
    assert "name" in refusal.violations
    async with refused("INVALID_REQUEST") as refusal:
        await user.upload_form(form([("name", b"people", "")]))
    assert "file" in refusal.violations
    async with refused("DATASET_EMPTY", StatusCode.INVALID_ARGUMENT):
        await user.upload(b"")
    async with refused("DATASET_EMPTY", StatusCode.INVALID_ARGUMENT):
        await user.upload_form(form([("file", b"", "people.csv")]))
    assert await platform.nothing_left(user)


async def test_forms_that_are_none(platform: Platform, user: Client) -> None:
    """A broken form, one with two files, and multipart of another kind are refused."""
    twice = form([("file", CSV, "a.csv"), ("file", CSV, "b.csv")])
    async with refused("INVALID_REQUEST") as refusal:
        await user.upload_form(twice, pieces=4096)
    assert "file" in refusal.violations
    for content_type in ("multipart/form-data", "multipart/mixed; boundary=b"):
        async with refused("INVALID_REQUEST") as refusal:
            await user.upload(twice, content_type=content_type)
        assert "body" in refusal.violations
    async with refused("INVALID_REQUEST") as refusal:
        await user.upload_form(CSV)
    assert "body" in refusal.violations
    assert await platform.nothing_left(user)


async def test_slow_uploads_hold_nobody_up(user: Client) -> None:
    """However many uploads are waiting for their senders, others go on."""
    release = asyncio.Event()

    async def requests() -> AsyncIterator[pb.UploadDatasetRequest]:
        yield pb.UploadDatasetRequest(name="slow", body=HttpBody(content_type="text/csv", data=CSV[:100]))
        await release.wait()
        yield pb.UploadDatasetRequest(body=HttpBody(data=CSV[100:]))

    slow = [asyncio.create_task(_awaited(user.start_upload(requests()))) for _ in range(8)]
    async with asyncio.timeout(30):
        dataset = await user.upload()
        assert len((await user.rows(dataset.dataset_id)).rows) == 60
    release.set()
    assert [dataset.row_count for dataset in await asyncio.gather(*slow)] == [60] * 8


async def _awaited(call: Any) -> pb.Dataset:
    dataset: pb.Dataset = await call
    return dataset


async def test_null_characters(user: Client) -> None:
    """Null characters, which PostgreSQL's text can't hold, stay in cells and do no harm to names and profiles."""
    content = b'{"a\\u0000b": "x\\u0000y", "n": 1}\n{"a\\u0000b": "z", "n": 2}\n'
    dataset = await user.upload(content)
    assert [column.name for column in dataset.columns] == ["ab", "n"]
    assert (await user.profile(dataset.dataset_id)).columns[0].distinct_count == 2
    exported = (await user.export(dataset.dataset_id, "jsonl"))[0]
    assert json.loads(exported.splitlines()[0])["ab"] == "x\0y"


async def test_checksum(platform: Platform, user: Client) -> None:
    """An announced SHA-256 is compared with what arrived, in any case of its letters."""
    digest = hashlib.sha256(CSV).hexdigest()
    assert (await user.upload(sha256=digest.upper())).source_sha256 == digest
    other = platform.user()
    async with refused("CHECKSUM_MISMATCH") as refusal:
        await other.upload(sha256="0" * 64)
    assert refusal.metadata["found"] == digest
    assert not await platform.objects(other)
