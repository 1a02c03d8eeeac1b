"""Small real gRPC servers for tests of the mechanism around them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import grpc.aio

from servicekit.identity import Authenticator
from servicekit.server import Application, running
from servicekit.settings import ServiceSettings

# A server that asks no database still needs the setting.
NO_DATABASE = "postgresql+asyncpg://nobody:nothing@localhost/none"


@asynccontextmanager
async def serving(
    service_names: Sequence[str], register: Callable[[grpc.aio.Server], None], authenticator: Authenticator
) -> AsyncIterator[grpc.aio.Channel]:
    """Serves on a free port behind the standard interceptors; yields a channel to it."""
    async with (
        serving_at(service_names, register, authenticator) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield channel


@asynccontextmanager
async def serving_at(
    service_names: Sequence[str], register: Callable[[grpc.aio.Server], None], authenticator: Authenticator
) -> AsyncIterator[str]:
    """Serves likewise; yields the address."""

    @asynccontextmanager
    async def application() -> AsyncIterator[Application]:
        yield Application(service_names, register, authenticator)

    settings = ServiceSettings(database_url=NO_DATABASE, shutdown_grace_seconds=0)
    async with running(settings, application()) as address:
        yield address
