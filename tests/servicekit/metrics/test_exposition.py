"""Metrics are told on a port of their own, to whom the settings let, and soon, whatever is away."""

import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from deploy.local.ports import free_port
from servicekit.database import Database
from servicekit.metrics.exposition import exposed
from servicekit.metrics.queues import queue_reading
from servicekit.metrics.stored import database_metrics
from servicekit.queue import WorkQueue
from servicekit.readiness import Readiness
from servicekit.settings import ServiceSettings
from tests.support.certificates import Authority
from tests.support.postgres import PostgresForTests
from tests.support.servers import NO_DATABASE


async def _read(address: str) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://{address}/metrics")).raise_for_status().text


async def test_own_process() -> None:
    """A process tells its memory, its processor time, how late its event loop runs, and its version."""
    async with exposed(ServiceSettings(database_url=NO_DATABASE), []) as address:
        told = await _read(address)
    for name in (
        "process_resident_memory_bytes",
        "mirage_process_proportional_memory_bytes",
        "process_cpu_seconds_total",
        "mirage_event_loop_lag_seconds_bucket",
        "mirage_build_info",
    ):
        assert f"\n{name}" in told


async def test_port_is_free_afterwards() -> None:
    """The port is given back, so that a successor can take it at once."""
    settings = ServiceSettings(database_url=NO_DATABASE, metrics_port=free_port())
    for _ in range(2):
        async with exposed(settings, []) as address:
            assert await _read(address)


async def test_port_that_is_taken() -> None:
    """A port that somebody else has is an error, and nothing is told from elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServiceSettings(database_url=NO_DATABASE, metrics_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            async with exposed(settings, []):
                pass


async def test_mutual_tls(tmp_path: Path) -> None:
    """Where processes speak by mutual TLS, only who has a certificate of their authority reads metrics."""
    authority = Authority(tmp_path)
    own = authority.issue("127.0.0.1")
    settings = ServiceSettings(
        database_url=NO_DATABASE,
        internal_tls_cert_file=own.file,
        internal_tls_key_file=own.key,
        internal_tls_ca_file=authority.file,
    )
    trusting = ssl.create_default_context(cafile=str(authority.file))
    async with exposed(settings, []) as address:
        async with httpx.AsyncClient(verify=trusting) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"https://{address}/metrics")
        trusting.load_cert_chain(own.file, own.key)
        async with httpx.AsyncClient(verify=trusting) as client:
            assert (await client.get(f"https://{address}/metrics")).is_success


async def test_doubt_in_production() -> None:
    """In production it is told where anybody on the network may read metrics."""
    settings = ServiceSettings(database_url=NO_DATABASE, environment="production", metrics_host="0.0.0.0")  # noqa: S104 - what the test is about
    with capture_logs() as logs:
        async with exposed(settings, []):
            pass
    assert [entry for entry in logs if entry["event"] == "metrics_in_the_clear"]


async def test_stored_figures(postgres: PostgresForTests) -> None:
    """Figures are read from the database when somebody scrapes, once for several scrapes in a row."""
    read = []

    async def reading(session: AsyncSession) -> Sequence[Metric]:
        read.append(await session.scalar(text("SELECT 42")))
        return (GaugeMetricFamily("mirage_answer", "What was read.", value=read[-1]),)

    settings = ServiceSettings(database_url=postgres.database_url("generation"))
    database = Database.from_settings(settings)
    queues = queue_reading({"generation": WorkQueue("generation_queue", "generate")})
    async with (
        database_metrics(settings, database, reading, queues) as collectors,
        exposed(settings, collectors) as address,
    ):
        told = [await _read(address) for _ in range(3)]
    await database.close()
    assert all("\nmirage_answer 42.0" in each for each in told)
    assert '\nmirage_queue_length{queue="generation"} ' in told[0]
    assert "\nmirage_database_connections_limit 10.0" in told[0]
    assert read == [42]


async def test_database_away() -> None:
    """While the database is away its figures are missing, that it is away is told, and a scrape takes no second."""
    settings = ServiceSettings(database_url=f"postgresql+asyncpg://a:b@127.0.0.1:{free_port()}/none")
    database = Database.from_settings(settings)
    readiness = Readiness({"database": database.check})
    await readiness.look()
    await readiness.look()

    async def reading(_session: AsyncSession) -> Sequence[Metric]:
        raise AssertionError("there is no connection to read on")

    queues = queue_reading({"generation": WorkQueue("generation_queue", "generate")})
    async with (
        database_metrics(settings, database, queues, reading) as collectors,
        exposed(settings, [readiness, *collectors]) as address,
    ):
        told = await _read(address)
    await database.close()
    assert "\nmirage_database_up 0.0" in told
    assert "mirage_queue_length" not in told
    assert "\nprocess_resident_memory_bytes" in told


async def test_database_that_hangs(postgres: PostgresForTests) -> None:
    """A query that doesn't end costs its own figures, and the scrape is answered nevertheless."""

    async def reading(session: AsyncSession) -> Sequence[Metric]:
        await session.execute(text("SELECT pg_sleep(60)"))
        return (GaugeMetricFamily("mirage_answer", "What was read.", value=1),)

    settings = ServiceSettings(database_url=postgres.database_url("generation"))
    database = Database.from_settings(settings)
    async with database_metrics(settings, database, reading) as collectors, exposed(settings, collectors) as address:
        told = await _read(address)  # httpx itself would give up after 5 s
    await database.close()
    assert "mirage_answer" not in told
    assert "\nprocess_resident_memory_bytes" in told


async def test_event_loop_that_is_stuck() -> None:
    """While the event loop is stuck the process still answers who scrapes."""
    answers: list[httpx.Response] = []
    async with exposed(ServiceSettings(database_url=NO_DATABASE), []) as address:
        asking = threading.Thread(target=lambda: answers.append(httpx.get(f"http://{address}/metrics")))
        asking.start()
        asking.join(10)  # the event loop waits with us
    assert answers[0].is_success
