"""The activity service's composition root: everything is wired here."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc.aio

from mirage.activity.v1 import event_pb2_grpc
from servicekit.clients import ServiceIdentity, open_channel
from servicekit.database import Database
from servicekit.identity import RemoteKeys, TokenVerifier
from servicekit.listen import Listener
from servicekit.metrics.stored import database_metrics
from servicekit.revocations import followed_revocations
from servicekit.server import Application
from services.activity.repository import RECORDS_CHANNEL
from services.activity.servicers.events import EventServicer
from services.activity.settings import Settings

SERVICE_NAMES = ("mirage.activity.v1.EventService",)


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[Application]:
    """What the server serves; what it opens is closed at the end, in reverse order."""
    async with AsyncExitStack() as stack:
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        listener = await stack.enter_async_context(Listener(database.dsn, RECORDS_CHANNEL))
        auth = await stack.enter_async_context(open_channel(settings.auth_address, settings.internal_tls))
        identity = ServiceIdentity(auth, settings)
        revocations = await stack.enter_async_context(followed_revocations(auth, identity))
        verifier = TokenVerifier(
            RemoteKeys(auth), issuer=settings.token_issuer, audience=settings.token_audience, revocations=revocations
        )

        def register(server: grpc.aio.Server) -> None:
            event_pb2_grpc.add_EventServiceServicer_to_server(EventServicer(database.sessions), server)

        measured = await stack.enter_async_context(database_metrics(settings, database))
        needs = {"database": database.check}
        yield Application(SERVICE_NAMES, register, verifier, listener.wind_down, needs, measured)
