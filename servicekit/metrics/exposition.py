"""The port on which a process tells its metrics: `GET /metrics`, for who scrapes, and for nobody else.

It is no part of what the gateway serves. A thread of its own answers, so a process whose event loop is stuck still
tells so.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import disable_created_metrics, start_http_server
from prometheus_client.registry import Collector, CollectorRegistry

from servicekit.metrics.process import measured_loop, register_process
from servicekit.settings import ServiceSettings
from servicekit.sockets import is_loopback

log = structlog.get_logger(__name__)


@asynccontextmanager
async def exposed(settings: ServiceSettings, collectors: Iterable[Collector]) -> AsyncIterator[str]:
    """Tells the process's own metrics and these while the block runs, unless the settings say not to.

    Yields the address, `host:port`; empty where nothing is told.

    Raises:
        OSError: the port is taken, or the host none of this machine's.
    """
    if not settings.metrics_enabled:
        yield ""
        return
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter, which nobody asks for
    registry = CollectorRegistry()
    register_process(registry, settings)
    for collector in collectors:
        registry.register(collector)
    async with measured_loop(registry):
        server = _started(settings, registry)
        address = f"{settings.metrics_host}:{server.server_port}"
        log.info("metrics_told", address=address)
        try:
            yield address
        finally:
            await _stop(server)


def _started(settings: ServiceSettings, registry: CollectorRegistry) -> WSGIServer:
    host, tls = settings.metrics_host, settings.internal_tls
    if tls is None and settings.environment == "production" and not is_loopback(host):
        # Told and not refused: a mesh may take care of it.
        log.warning("metrics_in_the_clear", address=f"{host}:{settings.metrics_port}")
    # Anybody that reaches the port may ask, or by mutual TLS who has a certificate of the platform's authority.
    server, _ = start_http_server(
        settings.metrics_port,
        host.strip("[]"),
        registry,
        certfile=str(tls.certificate) if tls else None,
        keyfile=str(tls.key) if tls else None,
        client_cafile=str(tls.trusted) if tls else None,
        client_auth_required=tls is not None,
    )
    return server


async def _stop(server: WSGIServer) -> None:
    """Stops the thread at once: it looks up twice a second only, unless somebody knocks."""
    stopping = asyncio.create_task(asyncio.to_thread(server.shutdown))
    await asyncio.sleep(0)
    host, port = server.server_address[:2]
    try:
        socket.create_connection((str(host), port), timeout=1).close()
    except OSError:
        log.debug("metrics_port_deaf")
    await stopping
    server.server_close()
