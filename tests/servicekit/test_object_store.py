"""Objects on a real S3 endpoint, streamed in and out."""

import asyncio
import hashlib
import io
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from deploy.local.object_store import EmbeddedObjectStore
from deploy.local.ports import free_port
from deploy.local.probes import until
from deploy.local.program import running
from servicekit.errors import Unavailable
from servicekit.object_store import ObjectMissing, ObjectStore
from servicekit.settings import ObjectStoreSettings
from tests.support.certificates import Authority


def _settings(environment: dict[str, str]) -> ObjectStoreSettings:
    return ObjectStoreSettings.model_validate({name.lower(): value for name, value in environment.items()})


@pytest.fixture
async def store(object_store: EmbeddedObjectStore) -> ObjectStore:
    bucket = ObjectStore(_settings(object_store.environment()), "kit")
    await bucket.ensure_bucket()
    await bucket.ensure_bucket()  # making it twice is making it once
    return bucket


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_stream_round_trip(store: ObjectStore, tmp_path: Path) -> None:
    """What goes in as a stream of any size comes out the same, counted and hashed."""
    content = [b"", b"a" * 10, b"b" * (18 * 1024 * 1024), b"", b"c"]
    key = f"{uuid4()}/large"
    stored = await store.put_stream(key, _chunks(*content))
    whole = b"".join(content)
    assert stored == (len(whole), hashlib.sha256(whole).hexdigest())
    assert b"".join([chunk async for chunk in store.open_stream(key)]) == whole
    await store.get_file(key, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == whole
    assert await store.size(key) == len(whole)


async def test_bucket_made_by_many(object_store: EmbeddedObjectStore) -> None:
    """Processes that start at the same time find the bucket that one of them made."""
    settings = _settings(object_store.environment(bucket_prefix=f"many-{uuid4().hex[:8]}"))
    stores = [ObjectStore(settings, "kit") for _ in range(8)]
    await asyncio.gather(*(store.ensure_bucket() for store in stores))
    await stores[0].check()


async def test_empty_stream(store: ObjectStore) -> None:
    """An empty object is an object."""
    key = f"{uuid4()}/empty"
    assert (await store.put_stream(key, _chunks())).size == 0
    assert await store.get_bytes(key) == b""


async def test_failed_stream_leaves_nothing(store: ObjectStore) -> None:
    """A stream that breaks raises its own error and leaves no object behind."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (17 * 1024 * 1024)
        raise KeyError("cut off")

    key = f"{uuid4()}/broken"
    with pytest.raises(KeyError, match="cut off"):
        await store.put_stream(key, broken())
    with pytest.raises(ObjectMissing):
        await store.size(key)


async def test_remove(store: ObjectStore) -> None:
    """Objects go by key or by prefix; going twice is going once."""
    owner = uuid4()
    for name in ("one", "two", "three"):
        await store.put_bytes(f"{owner}/{name}", b"x")
    await store.remove([f"{owner}/one", f"{owner}/one"])
    await store.remove_prefix(f"{owner}/")
    await store.remove_prefix(f"{owner}/")
    for name in ("one", "two", "three"):
        with pytest.raises(ObjectMissing):
            await store.get_bytes(f"{owner}/{name}")


async def test_presigned(store: ObjectStore) -> None:
    """A signed URL gives the object to anybody, under a name in any script; a changed one gives nothing."""
    key = f"{uuid4()}/table"
    await store.put_bytes(key, b"rows")
    url = await store.presigned_get(key, 60, "Kunden äöü.parquet")
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
        forged = await client.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
    assert answer.content == b"rows"
    assert forged.status_code == 403


async def test_store_gone(object_store: EmbeddedObjectStore) -> None:
    """A store that can't be reached is unavailable, not an accident."""
    from deploy.local.ports import free_port

    environment = object_store.environment() | {"S3_ENDPOINT": f"127.0.0.1:{free_port()}"}
    gone = ObjectStore(_settings(environment), "kit")
    with pytest.raises(Unavailable):
        await gone.put_bytes("key", b"x")


@pytest.mark.parametrize("before_bytes", [10, 17 * 1024 * 1024])
async def test_cancelled_stream_leaves_nothing(store: ObjectStore, before_bytes: int) -> None:
    """Whoever cancels a stream in the middle finds, when it has ended, that nothing was stored and nothing will be."""
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * before_bytes
        waiting.set()
        await asyncio.Event().wait()

    key = f"{uuid4()}/cancelled"
    putting = asyncio.create_task(store.put_stream(key, endless()))
    async with asyncio.timeout(30):
        await waiting.wait()
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
    with pytest.raises(ObjectMissing):
        await store.size(key)


async def test_a_file_to_seek_in(store: ObjectStore) -> None:
    """An object can be read as a file, from anywhere, by those who expect one."""
    key, content = f"{uuid4()}/file", bytes(range(256)) * 100
    await store.put_bytes(key, content)
    file = await store.open_file(key)

    def read() -> list[bytes]:
        parts = [file.read(10)]
        file.seek(-5, io.SEEK_END)
        parts += [file.read(10), file.read(10)]
        file.seek(256)
        file.seek(3, io.SEEK_CUR)
        return [*parts, file.read(2)]

    assert await asyncio.to_thread(read) == [content[:10], content[-5:], b"", bytes([3, 4])]
    with pytest.raises(ObjectMissing):
        await store.open_file(f"{uuid4()}/none")


async def test_tls(tmp_path: Path) -> None:
    """A store that speaks TLS is trusted by the file of its authority, and by nothing else."""
    authority = Authority(tmp_path)
    certificate = authority.issue("127.0.0.1")
    secured = EmbeddedObjectStore(tmp_path / "objects", free_port(), "tests", secrets.token_urlsafe(16))
    secured.prepare()
    tls = ("--cert", str(certificate.file), "--key", str(certificate.key))
    program = replace(secured.program, command=(*secured.program.command, *tls))
    environment = secured.environment() | {"S3_SECURE": "true"}
    with running(program, tmp_path, tmp_path / "object-store.log"):
        await until(secured.answers, timeout_seconds=60)
        trusting = ObjectStore(_settings(environment | {"S3_CA_FILE": str(authority.file)}), "kit")
        await trusting.ensure_bucket()
        await trusting.put_bytes("owner/key", b"content")
        assert await trusting.get_bytes("owner/key") == b"content"
        assert (await trusting.presigned_get("owner/key", 60)).startswith(f"https://{secured.endpoint}/")
        with pytest.raises(Unavailable):
            await ObjectStore(_settings(environment), "kit").check()
