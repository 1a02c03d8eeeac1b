"""An auth service among servers that hold what is users', as its tests use it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from servicekit.database import Database
from servicekit.server import running
from services.auth import keys
from services.auth.server import application
from services.auth.settings import Settings
from tests.auth.platform import AuthService
from tests.support.holding_peer import HoldingPeer, serving_holdings

HOLDERS = ("activity", "dataset", "generation", "optimizer")


@dataclass
class Surroundings:
    """An auth service that can be stopped and started again, and those around it."""

    auth: AuthService
    peers: dict[str, HoldingPeer]
    stop: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[AuthService]]


@asynccontextmanager
async def surrounded(settings: Settings, database: Database) -> AsyncIterator[Surroundings]:
    """The service with everything around it."""
    peers = {name: HoldingPeer() for name in HOLDERS}
    signing_keys = keys.load_or_create(settings.signing_keys_dir, settings.signed_lifetime)
    async with AsyncExitStack() as around, AsyncExitStack() as service:
        addresses = {
            f"{name}_address": await around.enter_async_context(serving_holdings(peer, signing_keys))
            for name, peer in peers.items()
        }
        made = settings.model_copy(update=addresses)

        async def start() -> AuthService:
            address = await service.enter_async_context(running(made, application(made)))
            channel = await service.enter_async_context(grpc.aio.insecure_channel(address))
            surroundings.auth = AuthService(channel, made, database)
            return surroundings.auth

        surroundings = Surroundings(None, peers, service.aclose, start)  # type: ignore[arg-type]  # set by the start
        await start()
        yield surroundings
