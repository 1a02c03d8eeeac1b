"""Limits that the settings set, and a peer that can't be reached: each test with a service of its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc import StatusCode

from deploy.local.object_store import EmbeddedObjectStore
from deploy.local.ports import free_port
from mirage.dataset.v1 import dataset_pb2 as pb
from servicekit.server import running
from services.dataset.server import application
from tests.dataset.service.platform import CSV, Platform, form, open_platform, open_surroundings
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def small(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, tmp_path: Path
) -> AsyncIterator[Platform]:
    """A service that takes files up to 1 MiB."""
    async with open_platform(postgres, object_store, tokens, tmp_path, max_file_size_mb=1) as opened:
        yield opened


async def test_files_that_are_too_large(small: Platform) -> None:
    """A file over the limit is refused as soon as it is seen to be, raw or in a form; one of just the limit is read."""
    user = small.user()
    header = b"a,b\n"
    line = b"1," + b"x" * 1021 + b"\n"
    exact = (header + line * 1024)[: MEBIBYTE - 1] + b"\n"
    assert len(exact) == MEBIBYTE
    dataset = await user.upload(exact)
    assert dataset.source_bytes == MEBIBYTE
    await user.delete(dataset.dataset_id)
    async with refused("FILE_TOO_LARGE", StatusCode.RESOURCE_EXHAUSTED):
        await user.upload(exact + b"x")
    async with refused("FILE_TOO_LARGE"):
        await user.upload_form(form([("file", exact + b"x", "people.csv")]), pieces=65_536)
    assert await small.nothing_left(user)


async def test_too_large_by_its_own_word(small: Platform) -> None:
    """A file whose declared length is over the limit is refused at its first message."""
    user = small.user()

    async def requests() -> AsyncIterator[pb.UploadDatasetRequest]:
        yield pb.UploadDatasetRequest(name="people", body=HttpBody(content_type="text/csv", data=b"a,b\n"))
        await asyncio.Event().wait()

    async with asyncio.timeout(30), refused("FILE_TOO_LARGE"):
        await user.start_upload(requests(), (("x-upload-length", str(MEBIBYTE + 1)),))
    assert await small.nothing_left(user)


async def test_too_slow(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, tmp_path: Path
) -> None:
    """An upload that takes longer than is allowed is given up, and nothing of it is left."""

    async def requests() -> AsyncIterator[pb.UploadDatasetRequest]:
        yield pb.UploadDatasetRequest(name="people", body=HttpBody(content_type="text/csv", data=CSV))
        await asyncio.Event().wait()

    async with open_surroundings(postgres, object_store, tokens, tmp_path) as surroundings:
        # Less than whole minutes, which settings are.
        settings = surroundings.settings.model_copy(update={"temp_file_ttl_minutes": 0.01})
        async with (
            running(settings, application(settings)) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            platform = surroundings.platform(channel)
            user = platform.user()
            async with asyncio.timeout(30), refused("UPLOAD_TOO_SLOW", StatusCode.DEADLINE_EXCEEDED):
                await user.start_upload(requests())
            assert await platform.nothing_left(user)


async def test_formats_that_are_switched_off(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, tmp_path: Path
) -> None:
    """A format that the settings don't name is refused, whatever the file is called."""
    async with open_platform(postgres, object_store, tokens, tmp_path, supported_file_types="parquet,xlsx") as platform:
        user = platform.user()
        async with refused("UNSUPPORTED_FILE_TYPE", StatusCode.INVALID_ARGUMENT) as refusal:
            await user.upload_form(form([("file", CSV, "people.parquet")]), pieces=4096)
        assert "parquet" in refusal.message
        assert await platform.nothing_left(user)


async def test_generation_cannot_be_asked(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, tmp_path: Path
) -> None:
    """Where nobody can say what hangs on a dataset, nothing is deleted."""
    nowhere = f"127.0.0.1:{free_port()}"
    async with open_platform(postgres, object_store, tokens, tmp_path, generation_address=nowhere) as platform:
        user = platform.user()
        dataset = await user.upload()
        for cascade in (False, True):
            async with refused("UNAVAILABLE", StatusCode.UNAVAILABLE):
                await user.delete(dataset.dataset_id, cascade=cascade)
        assert await user.get(dataset.dataset_id) == dataset


async def test_a_heartbeat(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, tmp_path: Path
) -> None:
    """Where nothing happens for a while a heartbeat comes, with a token that resumes there."""
    content = b"number,text\n" + b"".join(b"%d,text %d\n" % (number, number) for number in range(100_000))
    async with open_platform(postgres, object_store, tokens, tmp_path, stream_heartbeat_seconds=0.02) as platform:
        user = platform.user()
        dataset = await user.upload(content, wait=False)
        events = [event async for event in user.watch(dataset.dataset_id)]
        beats = [event for event in events if event.stage == "heartbeat"]
        assert all(beat.sequence == 0 for beat in beats)
        rest = await user.events(dataset.dataset_id, beats[0].resume_token)
    numbered = [event for event in events if event.sequence]
    assert rest == numbered[len(numbered) - len(rest) :]
