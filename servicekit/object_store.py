"""Objects over S3, streamed. The client library is synchronous, so it works in threads."""

import asyncio
import contextlib
import hashlib
import io
import itertools
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar
from urllib.parse import quote

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, S3Error, ServerError

from servicekit import tracing
from servicekit.errors import StorageFull, Unavailable
from servicekit.ranged_file import RangedFile
from servicekit.settings import ObjectStoreSettings

P = ParamSpec("P")
T = TypeVar("T")

_PART_BYTES = 8 * 1024 * 1024  # of a multipart upload; a few times as much is held in memory
_MOST_STREAMS = 64  # stored at once; others wait
_CHUNK_BYTES = 256 * 1024
_CHECK_S = 2.0  # the time that a store that is well takes at most to say so
_STORE = "object store"
# What MinIO says, and HTTP's own word for it.
_FULL = ("XMinioStorageFull", "InsufficientStorage")
_MISSING = ("NoSuchKey", "NoSuchObject", "NoSuchBucket")


class StoredObject(NamedTuple):
    """What was stored."""

    size: int  # bytes
    sha256: str  # hexadecimal


class ListedObject(NamedTuple):
    """An object in a listing."""

    key: str
    size: int  # bytes
    modified_at: datetime


class ObjectMissing(Exception):
    """There is no object of this key."""


class ObjectStore:
    """One service's bucket. Keys begin with their owner's id."""

    def __init__(self, settings: ObjectStoreSettings, service: str) -> None:
        self.bucket = f"{settings.s3_bucket_prefix}-{service}"
        self._client = _client(settings, settings.s3_endpoint)
        self._local_path = settings.s3_local_path
        # A stream holds its thread for as long as its sender likes, so streams have threads of their own.
        self._uploads = ThreadPoolExecutor(_MOST_STREAMS, thread_name_prefix="object-store-upload")
        self._checker = _client(settings, settings.s3_endpoint, timeout_s=_CHECK_S, retries=0)
        # Signing needs no connection: a client of its own signs for the address that others reach the store by.
        self._signer = _client(settings, settings.s3_public_endpoint or settings.s3_endpoint)

    async def ensure_bucket(self) -> None:
        """Makes the bucket unless it is there; processes of a service that start at once may all do so."""
        if await self._in_thread(self._client.bucket_exists, self.bucket):
            return
        try:
            await self._in_thread(self._client.make_bucket, self.bucket)
        except (S3Error, InvalidResponseError):  # another process may have been faster
            if not await self._in_thread(self._client.bucket_exists, self.bucket):
                raise

    async def check(self) -> None:
        """Raises unless the object store answers, soon and at the first try."""
        await self._in_thread(self._checker.bucket_exists, self.bucket)

    async def put_stream(
        self, key: str, chunks: AsyncIterator[bytes], content_type: str = "application/octet-stream"
    ) -> StoredObject:
        """Stores what arrives, as it arrives. If the stream raises, nothing is stored and the error is raised on.

        Whoever cancels this waits until the store is done with it, so that nothing is stored afterwards; what was
        stored whole by then stays.
        """
        reader = _StreamReader(chunks, asyncio.get_running_loop())
        put = partial(
            self._client.put_object,
            self.bucket,
            key,
            reader,
            length=-1,
            part_size=_PART_BYTES,
            num_parallel_uploads=1,
            content_type=content_type,
        )
        upload = asyncio.get_running_loop().run_in_executor(self._uploads, put)
        try:
            with self._span("PutObject") as span, self._keeping(lambda: reader.size), _translated():
                await asyncio.shield(upload)
                span.set("mirage.bytes", reader.size)
        except asyncio.CancelledError:
            reader.abandon()
            await asyncio.gather(upload, return_exceptions=True)
            raise
        except BaseException:
            if reader.error is not None:
                raise reader.error from None
            raise
        return StoredObject(reader.size, reader.digest.hexdigest())

    async def put_file(self, key: str, path: Path, content_type: str = "application/octet-stream") -> StoredObject:
        """Stores a file."""
        stored = await asyncio.to_thread(lambda: StoredObject(path.stat().st_size, file_sha256(path)))
        with self._span("PutObject") as span, self._keeping(lambda: stored.size):
            span.set("mirage.bytes", stored.size)
            await self._in_thread(self._client.fput_object, self.bucket, key, str(path), content_type=content_type)
        return stored

    async def put_bytes(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> StoredObject:
        """Stores a small object."""
        with self._span("PutObject") as span, self._keeping(lambda: len(content)):
            span.set("mirage.bytes", len(content))
            await self._in_thread(
                self._client.put_object, self.bucket, key, io.BytesIO(content), len(content), content_type=content_type
            )
        return StoredObject(len(content), hashlib.sha256(content).hexdigest())

    async def get_file(self, key: str, path: Path) -> None:
        """Fetches an object into a file.

        Raises:
            ObjectMissing: there is none.
        """
        with self._span("GetObject"):
            await self._in_thread(self._client.fget_object, self.bucket, key, str(path))

    async def get_bytes(self, key: str) -> bytes:
        """A small object, whole.

        Raises:
            ObjectMissing: there is none.
        """
        return b"".join([chunk async for chunk in self.open_stream(key)])

    async def open_stream(self, key: str) -> AsyncIterator[bytes]:
        """An object's bytes as they come.

        Raises:
            ObjectMissing: there is none.
        """
        with self._span("GetObject"):  # until its first byte; who reads it may take their time
            response = await self._in_thread(self._client.get_object, self.bucket, key)
        try:
            while chunk := await self._in_thread(response.read, _CHUNK_BYTES):
                yield chunk
        finally:
            response.close()
            response.release_conn()

    async def open_file(self, key: str) -> RangedFile:
        """An object as a file to seek in, for use in a thread.

        Its reads raise ObjectMissing once the object is gone, and Unavailable while the object store can't be reached.

        Raises:
            ObjectMissing: there is none.
        """

        def fetch(position: int, count: int) -> bytes:
            with _translated():
                response = self._client.get_object(self.bucket, key, offset=position, length=count)
                try:
                    content: bytes = response.read()
                    return content
                finally:
                    response.close()
                    response.release_conn()

        return RangedFile(await self.size(key), fetch)

    async def size(self, key: str) -> int:
        """An object's bytes.

        Raises:
            ObjectMissing: there is none.
        """
        with self._span("HeadObject"):
            found = await self._in_thread(self._client.stat_object, self.bucket, key)
        return found.size or 0

    async def pages(self, size: int) -> AsyncIterator[Sequence[ListedObject]]:
        """Every object of the bucket, so many at a time."""
        items = await self._in_thread(self._client.list_objects, self.bucket, recursive=True)
        while page := await self._in_thread(lambda: list(itertools.islice(items, size))):
            yield [
                ListedObject(item.object_name, item.size or 0, item.last_modified)
                for item in page
                if item.object_name and item.last_modified
            ]

    async def remove(self, keys: Iterable[str]) -> None:
        """Removes objects; one that isn't there is no error."""
        for key in keys:
            with contextlib.suppress(ObjectMissing), self._span("DeleteObject"):
                await self._in_thread(self._client.remove_object, self.bucket, key)

    async def remove_prefix(self, prefix: str) -> int:
        """Removes every object whose key begins so; returns how many there were."""
        return await self._in_thread(self._remove_prefix, prefix)

    async def presigned_get(self, key: str, expires_s: int, filename: str = "") -> str:
        """A URL from which anybody can fetch the object for some seconds, saved under that name if there is one."""
        headers: dict[str, str | list[str] | tuple[str]] | None = (
            {"response-content-disposition": content_disposition(filename)} if filename else None
        )
        return await self._in_thread(
            self._signer.presigned_get_object,
            self.bucket,
            key,
            expires=timedelta(seconds=expires_s),
            response_headers=headers,
        )

    def _span(self, operation: str) -> contextlib.AbstractContextManager[tracing.Span]:
        """A call to the store. Its span doesn't tell the key, which begins with the owner's id."""
        return tracing.span(f"S3 {operation}", "client", {"rpc.system": "aws-api", "aws.s3.bucket": self.bucket})

    @contextlib.contextmanager
    def _keeping(self, size: Callable[[], int]) -> Iterator[None]:
        """Tells a store whose disk is full from one that is away, where its disk is this machine's.

        S3 has no word for it: a store says that something went wrong inside. What it had of the object is gone again by
        then, so the disk has as much room as it had before, which is less than what was to be kept.

        Raises:
            StorageFull: there was no room.
        """
        try:
            yield
        except Unavailable:
            if self._local_path is not None and _room_in(self._local_path) < size():
                raise StorageFull(_STORE) from None
            raise

    def _remove_prefix(self, prefix: str) -> int:
        found = self._client.list_objects(self.bucket, prefix=prefix, recursive=True)
        doomed = [DeleteObject(item.object_name) for item in found if item.object_name]
        for error in self._client.remove_objects(self.bucket, doomed):
            raise Unavailable(_STORE) from RuntimeError(error.code)
        return len(doomed)

    async def _in_thread(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        with _translated():
            return await asyncio.to_thread(function, *arguments, **options)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turns the client library's errors into ours."""
    try:
        yield
    except S3Error as error:
        if error.code in _MISSING:
            raise ObjectMissing(error.object_name) from None
        if error.code in _FULL:
            raise StorageFull(_STORE) from None
        if error.response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(_STORE) from error
        raise
    except InvalidResponseError as error:
        # rclone sends its errors as text/xml, which the client doesn't read.
        if any(f"<Code>{code}</Code>" in str(error) for code in _MISSING):
            raise ObjectMissing from None
        if "Response code: 5" in str(error):
            raise Unavailable(_STORE) from error
        raise
    except (urllib3.exceptions.HTTPError, ServerError) as error:
        raise Unavailable(_STORE) from error


class _StreamReader(io.BytesIO):  # a BinaryIO by type; only `read` is called
    """A synchronous file over an asynchronous stream, read from another thread; counts and hashes what passes."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._chunks = chunks
        self._loop = loop
        self._buffer = b""
        self.size = 0
        self.digest = hashlib.sha256()
        self.error: BaseException | None = None
        self._abandoned = False
        self._waiting: asyncio.Task[Any] | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes, fewer only at the end; for the client library."""
        parts, wanted = [], sys.maxsize if size is None or size < 0 else size
        while wanted:
            if not self._buffer:
                self._buffer = self._next_chunk()
                if not self._buffer:
                    break
            part, self._buffer = self._buffer[:wanted], self._buffer[wanted:]
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def abandon(self) -> None:
        """Ends the reading with an error; for the event loop's thread."""
        self._abandoned = True
        if self._waiting is not None:
            self._waiting.cancel()

    def _next_chunk(self) -> bytes:
        try:
            chunk = asyncio.run_coroutine_threadsafe(self._advance(), self._loop).result()
        except BaseException as error:
            self.error = error
            raise
        self.size += len(chunk)
        self.digest.update(chunk)
        return chunk

    async def _advance(self) -> bytes:
        if self._abandoned:
            raise _Abandoned
        self._waiting = asyncio.current_task()
        try:
            async for chunk in self._chunks:
                if chunk:
                    return chunk
            return b""
        finally:
            self._waiting = None


class _Abandoned(Exception):
    """Nobody wants the stream stored any more."""


def _room_in(directory: Path) -> int:
    """Bytes that may still be written there; as if without end where that isn't known."""
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return sys.maxsize


def file_sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_disposition(filename: str) -> str:
    """The header that makes a browser save an answer under a name in any script (RFC 6266, section 4.3)."""
    plain = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_. ") else "_" for letter in filename
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _client(settings: ObjectStoreSettings, endpoint: str, *, timeout_s: float = 60, retries: int = 3) -> Minio:
    return Minio(
        endpoint,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        region=settings.s3_region,
        secure=settings.s3_secure,
        http_client=urllib3.PoolManager(
            ca_certs=str(settings.s3_ca_file) if settings.s3_ca_file else None,
            timeout=urllib3.Timeout(connect=min(5, timeout_s), read=timeout_s),
            maxsize=_MOST_STREAMS,
            retries=urllib3.Retry(total=retries, backoff_factor=0.2, status_forcelist=(502, 503, 504)),
        ),
    )
