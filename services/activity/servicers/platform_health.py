"""The RPCs of PlatformHealthService, for administrators."""

from typing import Any, TypeAlias

import grpc.aio

from mirage.activity.v1 import platform_health_pb2 as pb
from mirage.activity.v1 import platform_health_pb2_grpc
from mirage.health.v1 import service_health_pb2
from services.activity.platform_health import PlatformHealth

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# What the gateway makes of a platform that is down: the answer as it is, under a status that every probe understands.
_DOWN = (
    ("x-http-code", "503"),
    ("x-error-code", "PLATFORM_DOWN"),
    ("x-message", "The platform can't serve as it should; data says what is missing."),
)


class PlatformHealthServicer(platform_health_pb2_grpc.PlatformHealthServiceServicer):
    """Tells how the platform is."""

    def __init__(self, health: PlatformHealth) -> None:
        self._health = health

    async def GetPlatformHealth(self, request: pb.GetPlatformHealthRequest, context: Context) -> pb.PlatformHealth:
        """How each service is."""
        found = await self._health.look()
        if found.state == service_health_pb2.HEALTH_STATE_DOWN:
            await context.send_initial_metadata(_DOWN)
        return found
