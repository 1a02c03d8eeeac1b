"""How every service is, found out by asking each; one that doesn't answer is told like one that does."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mirage.activity.v1 import platform_health_pb2
from mirage.health.v1 import service_health_pb2 as pb
from mirage.health.v1 import service_health_pb2_grpc
from servicekit.errors import ServiceError
from servicekit.health import Since, State
from servicekit.readiness import READINESS
from servicekit.timestamps import to_timestamp, utc_now

log = structlog.get_logger(__name__)

_ANSWER_S = 2.0
_LOOK_S = 5.0  # so often it is looked without being asked, to know since when something is as it is
_NOT_KNOWN = "It serves; how its parts are isn't known, because it didn't let us ask."

# The worst of the services decides; nobody knowing how one stands makes the platform no better than degraded.
_RANK: Mapping[int, int] = {
    pb.HEALTH_STATE_UP: 0,
    pb.HEALTH_STATE_UNKNOWN: 1,
    pb.HEALTH_STATE_DEGRADED: 1,
    pb.HEALTH_STATE_DOWN: 2,
}
_OVERALL: tuple[State, ...] = (pb.HEALTH_STATE_UP, pb.HEALTH_STATE_DEGRADED, pb.HEALTH_STATE_DOWN)


@dataclass(frozen=True)
class Peer:
    """A service that is asked."""

    own_name: grpc.aio.Channel  # on which this service calls in its own name
    nobody: grpc.aio.Channel  # on which nobody calls, for what is open to all


class PlatformHealth:
    """Asks the services."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        self._peers = peers
        self._since = Since()

    async def look(self) -> platform_health_pb2.PlatformHealth:
        """How the platform is now; takes no longer than the slowest service may."""
        services = await asyncio.gather(*(self._ask(name, peer) for name, peer in sorted(self._peers.items())))
        return platform_health_pb2.PlatformHealth(
            state=_OVERALL[max((_RANK[service.state] for service in services), default=0)],
            check_time=to_timestamp(utc_now()),
            services=services,
        )

    async def keep_looking(self) -> None:
        """Looks again and again, until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def _ask(self, name: str, peer: Peer) -> pb.ServiceHealth:
        began = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_S):
                stub = service_health_pb2_grpc.ServiceHealthServiceStub(peer.own_name)
                health: pb.ServiceHealth = await stub.GetServiceHealth(pb.GetServiceHealthRequest())
            health.latency_ms = round((time.monotonic() - began) * 1000, 3)
        except (grpc.aio.AioRpcError, ServiceError, TimeoutError):
            # Without auth there is no token to ask with; whether a service serves is told to anybody.
            health = await _ask_as_nobody(peer)
        health.name = name
        if health.HasField("since_time"):
            self._since.note(name, health.state)
        else:
            health.since_time.CopyFrom(to_timestamp(self._since.note(name, health.state)))
        return health


async def _ask_as_nobody(peer: Peer) -> pb.ServiceHealth:
    stub = health_pb2_grpc.HealthStub(peer.nobody)
    try:
        ready = await stub.Check(health_pb2.HealthCheckRequest(service=READINESS), timeout=_ANSWER_S)
    except grpc.aio.AioRpcError as error:
        late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        wrong = f"It doesn't answer within {_ANSWER_S:.0f} s." if late else "It can't be reached."
        return pb.ServiceHealth(state=pb.HEALTH_STATE_DOWN, message=wrong)
    if ready.status == health_pb2.HealthCheckResponse.SERVING:
        return pb.ServiceHealth(state=pb.HEALTH_STATE_UNKNOWN, message=_NOT_KNOWN)
    return pb.ServiceHealth(state=pb.HEALTH_STATE_DOWN, message="It is stopping, or something it needs is away.")
