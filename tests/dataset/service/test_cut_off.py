"""Uploads that break off, or never should have begun, leave nothing: no row, no object, no file."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc import StatusCode

from mirage.dataset.v1 import dataset_pb2 as pb
from tests.dataset.service.platform import CSV, Client, Platform, form, until
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEBIBYTE = 1024 * 1024


async def test_fewer_bytes_than_declared(platform: Platform, user: Client) -> None:
    """A body shorter than the gateway says was declared is taken for cut off, although the stream ended well."""
    declared = (("x-upload-length", str(len(CSV) + 1)),)
    async with refused("UPLOAD_INCOMPLETE", StatusCode.INVALID_ARGUMENT):
        await user.upload(metadata=declared)
    assert await platform.nothing_left(user)
    exact = (("x-upload-length", str(len(CSV))),)
    assert (await user.upload(metadata=exact)).row_count == 60


async def test_a_form_without_its_end(platform: Platform, user: Client) -> None:
    """A form without its closing boundary is taken for cut off."""
    async with refused("UPLOAD_INCOMPLETE"):
        await user.upload_form(form([("file", CSV, "people.csv")], closed=False), pieces=4096)
    assert await platform.nothing_left(user)


@pytest.mark.parametrize("mebibytes", [1, 40])
async def test_a_client_that_goes_away(platform: Platform, user: Client, mebibytes: int) -> None:
    """A caller who drops off in the middle, before or after parts of the object were stored, leaves nothing."""
    sent = asyncio.Event()

    async def requests() -> AsyncIterator[pb.UploadDatasetRequest]:
        yield pb.UploadDatasetRequest(name="people", body=HttpBody(content_type="text/csv", data=CSV))
        for _ in range(mebibytes):
            yield pb.UploadDatasetRequest(body=HttpBody(data=b"x" * MEBIBYTE))
        sent.set()
        await asyncio.Event().wait()

    call = user.start_upload(requests())
    await asyncio.wait_for(sent.wait(), 30)
    await until(lambda: platform.marks(user))
    call.cancel()
    await until(lambda: platform.nothing_left(user))
