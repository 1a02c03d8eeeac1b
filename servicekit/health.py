"""How a service is, as it knows itself: what it stands on, and what it answers for.

gRPC's health protocol has one word for it, which is what traffic is sent by; this is for the person who asks why.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any, TypeAlias

import grpc.aio
import structlog

from mirage.health.v1 import service_health_pb2 as pb
from mirage.health.v1 import service_health_pb2_grpc
from servicekit.readiness import Readiness
from servicekit.timestamps import to_timestamp, utc_now

log = structlog.get_logger(__name__)

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["ServiceHealthService"].full_name
_ANSWER_S = 1.0

State: TypeAlias = pb.HealthState.ValueType
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True)
class Finding:
    """How something is that a service answers for."""

    figures: Mapping[str, float] = field(default_factory=dict)
    wrong: str = ""  # what isn't as it should be, though the service serves; empty where nothing is


Look = Callable[[], Awaitable[Finding]]
"""Finds out how something is; whatever it raises, nobody knows then."""


class Since:
    """Remembers since when things are as they are."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[State, datetime]] = {}

    def note(self, name: str, state: State, began: datetime | None = None) -> datetime:
        """Takes note of a thing's state; returns since when it is so: from its first sight on, or from `began`."""
        before = self._seen.get(name)
        if before is None or before[0] != state:
            self._seen[name] = (state, (began if before is None and began else utc_now()))
        return self._seen[name][1]


class ServiceHealthServicer(service_health_pb2_grpc.ServiceHealthServiceServicer):
    """The RPC that every service has."""

    def __init__(self, name: str, readiness: Readiness, looks: Mapping[str, Look]) -> None:
        """`looks` are at what the service answers for, by a name for people."""
        self._name = name
        self._readiness = readiness
        self._looks = looks
        self._version = version("mirage-platform")
        self._started = utc_now()
        self._since = Since()

    async def GetServiceHealth(self, _request: pb.GetServiceHealthRequest, _context: Context) -> pb.ServiceHealth:
        """How the service is now."""
        looked = await asyncio.gather(*(self._look(name, look) for name, look in self._looks.items()))
        parts = [*self._needed(), *looked]
        state, message = _worst(parts)
        return pb.ServiceHealth(
            name=self._name,
            state=state,
            since_time=to_timestamp(self._since.note("", state, self._started)),
            version=self._version,
            start_time=to_timestamp(self._started),
            message=message,
            parts=parts,
        )

    def _needed(self) -> list[pb.PartHealth]:
        return [
            pb.PartHealth(
                name=name,
                state=pb.HEALTH_STATE_UP if standing.is_up else pb.HEALTH_STATE_DOWN,
                since_time=to_timestamp(standing.since),
                latency_ms=round(standing.answer_s * 1000, 3) if standing.is_up else 0.0,
                message="" if standing.is_up else f"The {name} doesn't answer.",
            )
            for name, standing in self._readiness.standings.items()
        ]

    async def _look(self, name: str, look: Look) -> pb.PartHealth:
        part = pb.PartHealth(name=name)
        try:
            async with asyncio.timeout(_ANSWER_S):
                finding = await look()
        except Exception as error:  # whatever it is, the rest is to be told
            log.warning("part_not_looked_at", part=name, error=type(error).__name__)
            part.state, part.message = pb.HEALTH_STATE_UNKNOWN, f"Nobody knows how the {name} stands: it can't be read."
        else:
            part.state = pb.HEALTH_STATE_DEGRADED if finding.wrong else pb.HEALTH_STATE_UP
            part.message = finding.wrong
            part.figures.update(finding.figures)
        part.since_time.CopyFrom(to_timestamp(self._since.note(name, part.state, self._started)))
        return part


def _worst(parts: list[pb.PartHealth]) -> tuple[State, str]:
    """How a service is with such parts, and why."""
    message = " ".join(part.message for part in parts if part.message)
    if any(part.state == pb.HEALTH_STATE_DOWN for part in parts):
        return pb.HEALTH_STATE_DOWN, message
    if any(part.state != pb.HEALTH_STATE_UP for part in parts):
        return pb.HEALTH_STATE_DEGRADED, message
    return pb.HEALTH_STATE_UP, ""
