"""Files as answers: streamed with the headers that a browser needs, or by a signed URL."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, TypeAlias

import grpc.aio
from google.api.httpbody_pb2 import HttpBody

from servicekit.errors import InvalidRequest, Violation

DEFAULT_URL_SECONDS = 3600
LONGEST_URL_SECONDS = 86_400

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def url_seconds(expires: int) -> int:
    """For how long a signed URL is to be good; 0 means the default.

    Raises:
        InvalidRequest: too long, or negative.
    """
    if not 0 <= expires <= LONGEST_URL_SECONDS:
        allowed = f"must be 1 to {LONGEST_URL_SECONDS} seconds, or 0 for {DEFAULT_URL_SECONDS}"
        raise InvalidRequest([Violation("expires", allowed)])
    return expires or DEFAULT_URL_SECONDS


def file_stem(name: str, otherwise: str) -> str:
    """What a file may be called on every system, after a name that people gave; `otherwise` where nothing is left."""
    without_ending = re.sub(r"(\.(csv|jsonl?|xlsx|parquet))?(\.(gz|zst))?$", "", name, flags=re.IGNORECASE)
    return re.sub(r"[^\w\-. ()]+", "_", without_ending).strip(". ") or otherwise


async def send_file(
    context: Context, headers: Mapping[str, str], content_type: str, pieces: AsyncIterator[bytes]
) -> AsyncIterator[HttpBody]:
    """Sends a file: its headers once the first piece is there, so that what fails before then is still an error."""
    first = await anext(pieces, b"")
    await context.send_initial_metadata((("x-raw-body", "1"), *headers.items()))
    yield HttpBody(content_type=content_type, data=first)
    async for piece in pieces:
        yield HttpBody(content_type=content_type, data=piece)


async def from_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """What a blocking generator makes, made in threads one step at a time; closed when its reader goes away."""
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
            try:
                chunk = await asyncio.shield(step)
            except asyncio.CancelledError:
                await asyncio.wait({step})  # a generator can't be closed while it runs
                raise
            if chunk is None:
                return
            yield chunk
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            await asyncio.to_thread(close)
