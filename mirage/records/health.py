"""How the platform is."""

from typing import Any

from mirage.activity.v1 import platform_health_pb2
from mirage.health.v1 import service_health_pb2
from mirage.records.base import Field, OptionalField, Record, numbers, time, word

health_state = word(service_health_pb2.HealthState, "HEALTH_STATE_")


class PartHealth(Record[service_health_pb2.PartHealth]):
    """How a part is that a service stands on or answers for."""

    name = Field("name", str, "`database`, `object store`, `queue` or `workers`.")
    state = Field("state", health_state, "`up`, `degraded`, `down` or `unknown`.")
    since_time = OptionalField("since_time", time, "Since when it is so.")
    latency_ms = Field("latency_ms", float, "How long it took to answer, in milliseconds.")
    message = Field("message", str, "What is wrong; empty where nothing is.")
    figures = Field("figures", numbers, "Figures by name, such as `waiting` of a queue.")

    def __repr__(self) -> str:
        return f"<PartHealth {self.name} {self.state}>"


def _parts(parts: Any) -> list[PartHealth]:
    return [PartHealth(part) for part in parts]


class ServiceHealth(Record[service_health_pb2.ServiceHealth]):
    """How a service is."""

    name = Field("name", str, "The service, such as `auth`.")
    state = Field("state", health_state, "`up`, `degraded`, `down` or `unknown`.")
    since_time = OptionalField("since_time", time, "Since when it is so.")
    latency_ms = Field("latency_ms", float, "How long it took to answer, in milliseconds; 0 where it didn't.")
    version = Field("version", str, "Its version; empty where it didn't answer.")
    start_time = OptionalField("start_time", time, "When its process was started; None where it didn't answer.")
    message = Field("message", str, "What is wrong; empty where nothing is.")
    parts = Field("parts", _parts, "What it stands on or answers for.")

    def __repr__(self) -> str:
        return f"<ServiceHealth {self.name} {self.state}>"


def _services(services: Any) -> list[ServiceHealth]:
    return [ServiceHealth(service) for service in services]


class PlatformHealth(Record[platform_health_pb2.PlatformHealth]):
    """How the platform is."""

    state = Field("state", health_state, "`up`, `degraded` (it serves, and not all is as it should be) or `down`.")
    check_time = OptionalField("check_time", time, "When it was looked at.")
    services = Field("services", _services, "Each service, by name.")

    def __repr__(self) -> str:
        return f"<PlatformHealth {self.state}>"
