"""Runs a service: interceptors, health, reflection, signals and grace, the same for all."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from prometheus_client.registry import Collector

from mirage.health.v1 import service_health_pb2_grpc
from servicekit import logs, tracing
from servicekit.access import AccessRules
from servicekit.form_faults import rpcs_that_tell
from servicekit.health import SERVICE_NAME as HEALTH_SERVICE
from servicekit.health import Look, ServiceHealthServicer
from servicekit.identity import Authenticator
from servicekit.interceptors import StandardInterceptor
from servicekit.log_files import log_file
from servicekit.metrics.exposition import exposed
from servicekit.metrics.rpcs import MetricsInterceptor, RpcMetrics
from servicekit.readiness import READINESS, Check, Readiness
from servicekit.request_counts import CountingInterceptor, RequestCounts
from servicekit.security import Hearer
from servicekit.settings import ServiceSettings
from servicekit.sockets import is_loopback

log = structlog.get_logger(__name__)

_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port that is taken must be an error, not a lottery
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


@dataclass(frozen=True)
class Application:
    """What a service's composition root hands to the server: `services/<name>/server.py` makes one."""

    service_names: Sequence[str]  # full names of the RPC services, such as `mirage.auth.v1.SessionService`
    register: Callable[[grpc.aio.Server], None]  # adds the servicers
    authenticator: Authenticator
    wind_down: Callable[[], None] = lambda: None  # asks what has no end of its own to come to one
    needs: Mapping[str, Check] = field(default_factory=dict)  # what must answer for the service to be of use
    metrics: Sequence[Collector] = ()  # what it measures besides its RPCs and itself
    hearer: Hearer | None = None  # who is told of security events besides the log
    looks: Mapping[str, Look] = field(default_factory=dict)  # at what it answers for, for who asks how it is
    requests: RequestCounts | None = None  # where people's requests are counted


ApplicationContext = AbstractAsyncContextManager[Application]
"""A composition root is an async context manager, so that what it opens is closed, in reverse order."""


@asynccontextmanager
async def running(settings: ServiceSettings, application: ApplicationContext) -> AsyncIterator[str]:
    """Serves while the block runs; yields the address, `host:port`. On leaving: streams end, grace, stop."""
    async with application as parts:
        service_names = (*parts.service_names, HEALTH_SERVICE)
        rpcs = RpcMetrics()
        rpcs.prepare(service_names)
        standard = StandardInterceptor(
            parts.authenticator, AccessRules(service_names), rpcs_that_tell(service_names), parts.hearer
        )
        server = grpc.aio.server(
            interceptors=[
                *([MetricsInterceptor(rpcs)] if settings.metrics_enabled else []),
                *([CountingInterceptor(parts.requests, service_names)] if parts.requests else []),
                standard,
            ],
            options=(*_OPTIONS, ("grpc.max_receive_message_length", settings.max_request_size_mb * 1024 * 1024)),
        )
        parts.register(server)
        health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        names = (*service_names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        readiness = Readiness(parts.needs, lambda ready: _tell(health, ready=ready))
        service_health_pb2_grpc.add_ServiceHealthServiceServicer_to_server(
            ServiceHealthServicer(_name_of(parts.service_names), readiness, parts.looks), server
        )
        async with exposed(settings, [rpcs, readiness, *parts.metrics]):
            port = _listen(server, settings)
            await server.start()
            for name in ("", *service_names):
                await health.set(name, health_pb2.HealthCheckResponse.SERVING)
            await readiness.look()
            looking = asyncio.create_task(readiness.keep_looking())
            try:
                yield f"{settings.grpc_host}:{port}"
            finally:
                looking.cancel()
                await asyncio.wait({looking})
                await health.enter_graceful_shutdown()
                parts.wind_down()
                await server.stop(settings.shutdown_grace_seconds)


def _name_of(service_names: Sequence[str]) -> str:
    """The service that has these RPC services, such as `auth`."""
    return service_names[0].split(".")[1] if service_names else ""


def _listen(server: grpc.aio.Server, settings: ServiceSettings) -> int:
    """Takes the port, and returns it."""
    address, tls = f"{settings.grpc_host}:{settings.grpc_port}", settings.internal_tls
    if tls is not None:
        return server.add_secure_port(address, tls.server_credentials())
    # Told and not refused: a mesh may take care of it.
    if settings.environment == "production" and not is_loopback(settings.grpc_host):
        log.warning("internal_tls_off", address=address)
    return server.add_insecure_port(address)


async def _tell(health: health_aio.HealthServicer, *, ready: bool) -> None:
    status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
    await health.set(READINESS, status)


async def serve_until_signal(service: str, settings: ServiceSettings, application: ApplicationContext) -> None:
    """Serves until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    async with running(settings, application) as address:
        # What the start left is there to stay: a full collection would look at all of it again, for tenths of a second
        # in which nobody is answered.
        gc.collect()
        gc.freeze()
        log.info("serving", address=address)
        await stop.wait()
        log.info("stopping", service_name=service)
    log.info("stopped", service_name=service)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def run(service: str, settings: ServiceSettings, application: ApplicationContext) -> None:
    """Runs a service's process to its end."""
    with telling(service, settings):
        asyncio.run(serve_until_signal(service, settings, application))


@contextmanager
def telling(process: str, settings: ServiceSettings) -> Iterator[None]:
    """A process's logs and spans go where the settings say, while the block runs."""
    logs.configure(process, settings.log_level, log_file(process, settings))
    tracing.configure(process, settings)
    try:
        yield
    finally:
        tracing.close()
