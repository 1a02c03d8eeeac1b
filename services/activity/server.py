"""The activity service's composition root: everything is wired here."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc.aio

from mirage.activity.v1 import (
    event_pb2_grpc,
    log_pb2_grpc,
    notification_pb2_grpc,
    performance_pb2_grpc,
    platform_health_pb2_grpc,
    provenance_pb2_grpc,
    statistics_pb2_grpc,
)
from mirage.holdings.v1 import holding_pb2_grpc
from servicekit import holdings
from servicekit.beside import beside
from servicekit.clients import ServiceIdentity, open_channel, peer_channel
from servicekit.database import Database
from servicekit.holdings import HoldingServicer
from servicekit.identity import RemoteKeys, TokenVerifier
from servicekit.listen import Listener
from servicekit.metrics.stored import database_metrics
from servicekit.request_telling import counted_requests
from servicekit.revocations import followed_revocations
from servicekit.server import Application
from services.activity.audit_keys import AuditKeys
from services.activity.checkpoints import Checkpoints
from services.activity.holdings import Holdings
from services.activity.log_audit import LogAudit
from services.activity.notifying.repository import NOTIFICATIONS_CHANNEL
from services.activity.notifying.wiring import notifying
from services.activity.platform_health import Peer, PlatformHealth
from services.activity.repository import RECORDS_CHANNEL
from services.activity.servicers.events import EventServicer
from services.activity.servicers.log import LogServicer
from services.activity.servicers.performance import PerformanceServicer
from services.activity.servicers.platform_health import PlatformHealthServicer
from services.activity.servicers.provenance import AuditServicer, ProvenanceServicer
from services.activity.servicers.statistics import StatisticsServicer
from services.activity.settings import Settings
from services.activity.statistics.peers import Peers
from services.activity.statistics.requests import keep_tidy

SERVICE_NAMES = (
    "mirage.activity.v1.AuditService",
    "mirage.activity.v1.EventService",
    "mirage.activity.v1.LogService",
    "mirage.activity.v1.NotificationService",
    "mirage.activity.v1.PerformanceService",
    "mirage.activity.v1.PlatformHealthService",
    "mirage.activity.v1.ProvenanceService",
    "mirage.activity.v1.PushSubscriptionService",
    "mirage.activity.v1.StatisticsService",
    holdings.SERVICE_NAME,
)


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[Application]:
    """What the server serves; what it opens is closed at the end, in reverse order.

    Raises:
        ConfigurationError: a directory that a setting names can't be used.
    """
    async with AsyncExitStack() as stack:
        audit_keys = AuditKeys(settings.audit_keys_dir)
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        tls = settings.internal_tls
        listener = await stack.enter_async_context(Listener(database.dsn, RECORDS_CHANNEL, NOTIFICATIONS_CHANNEL))
        auth = await stack.enter_async_context(open_channel(settings.auth_address, tls))
        identity = ServiceIdentity(auth, settings)
        revocations = await stack.enter_async_context(followed_revocations(auth, identity))
        verifier = TokenVerifier(
            RemoteKeys(auth), issuer=settings.token_issuer, audience=settings.token_audience, revocations=revocations
        )
        checkpoints = Checkpoints(database.sessions, audit_keys)
        await stack.enter_async_context(beside(checkpoints.keep_signing(settings.checkpoint_seconds)))
        audit = LogAudit(database.sessions, audit_keys, checkpoints)
        peers = {}
        for name, address in settings.services.items():
            own = await stack.enter_async_context(peer_channel(address, tls, identity))
            nobody = await stack.enter_async_context(open_channel(address, tls))
            peers[name] = Peer(own, nobody)
        health = PlatformHealth(peers)
        await stack.enter_async_context(beside(health.keep_looking()))
        asked = {name: peer.own_name for name, peer in peers.items()}
        await stack.enter_async_context(beside(keep_tidy(database.sessions)))
        statistics = StatisticsServicer(database.sessions, Peers(asked.get("dataset"), asked.get("generation")))

        notifications = await stack.enter_async_context(
            notifying(
                settings, database, listener, peer_channel(settings.auth_address, settings.internal_tls, identity)
            )
        )

        def register(server: grpc.aio.Server) -> None:
            provenance_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(audit_keys, audit), server)
            event_pb2_grpc.add_EventServiceServicer_to_server(EventServicer(database.sessions), server)
            notification_pb2_grpc.add_NotificationServiceServicer_to_server(notifications.notifications, server)
            notification_pb2_grpc.add_PushSubscriptionServiceServicer_to_server(
                notifications.push_subscriptions, server
            )
            provenance_pb2_grpc.add_ProvenanceServiceServicer_to_server(
                ProvenanceServicer(database.sessions, audit_keys, checkpoints, audit), server
            )
            platform_health_pb2_grpc.add_PlatformHealthServiceServicer_to_server(PlatformHealthServicer(health), server)
            log_pb2_grpc.add_LogServiceServicer_to_server(LogServicer(database.sessions), server)
            held = Holdings(database.sessions)
            holding_pb2_grpc.add_HoldingServiceServicer_to_server(HoldingServicer(held.sections, held.delete), server)
            performance_pb2_grpc.add_PerformanceServiceServicer_to_server(
                PerformanceServicer(database.sessions), server
            )
            statistics_pb2_grpc.add_StatisticsServiceServicer_to_server(statistics, server)

        measured = await stack.enter_async_context(database_metrics(settings, database))
        needs = {"database": database.check}
        requests = await stack.enter_async_context(counted_requests(settings, settings.activity_address, identity))
        yield Application(SERVICE_NAMES, register, verifier, listener.wind_down, needs, measured, requests=requests)
