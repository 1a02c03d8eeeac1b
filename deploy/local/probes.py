"""How to see that a part serves."""

import asyncio
import ssl
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.log_view import LogFile
from servicekit.tls import InternalTls

Probe = Callable[[], Awaitable[bool]]
"""Looks once; says whether the part serves."""

_POLL_SECONDS = 0.1
_CONNECT_SECONDS = 2
_HEALTH_SECONDS = 5


async def until(probe: Probe, timeout_seconds: float) -> None:
    """Waits until the probe succeeds.

    Raises:
        TimeoutError: it doesn't in time.
    """
    async with asyncio.timeout(timeout_seconds):
        while not await probe():  # noqa: ASYNC110 - what we wait for is in another process
            await asyncio.sleep(_POLL_SECONDS)


async def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError is one
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def serves_grpc(port: int, tls: InternalTls | None) -> bool:
    """Whether the gRPC server on this port of loopback says by the standard health protocol that it serves."""
    return await listens("127.0.0.1", port) and await asyncio.to_thread(_is_healthy, f"127.0.0.1:{port}", tls)


async def answers_http(url: str) -> bool:
    """Whether a GET of this URL on loopback is answered with 200. A certificate is for others to check."""
    return await asyncio.to_thread(_is_ok, url)


def log_tells(log: Path, text: str) -> Probe:
    """A probe of a part that listens on no port: whether the text was logged since it last looked."""
    file = LogFile(log)

    async def probe() -> bool:
        return any(text in line for line in await asyncio.to_thread(file.new_lines))

    return probe


def _is_ok(url: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=_HEALTH_SECONDS, context=context) as answer:  # noqa: S310 - ours
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _is_healthy(address: str, tls: InternalTls | None) -> bool:
    # A pool of its own: the shared one remembers a failed connection and waits for a second before the next.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with (
        grpc.secure_channel(address, tls.channel_credentials(), options)
        if tls
        else grpc.insecure_channel(address, options)
    ) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_SECONDS)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
