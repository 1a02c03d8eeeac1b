"""Fixtures that all tests share: the real PostgreSQL and object store, one of each a test process, and tokens."""

import signal
from collections.abc import Iterator

import pytest

from deploy.local.object_store import EmbeddedObjectStore
from tests.support.collector import Collector, running_collector
from tests.support.object_store import running_object_store
from tests.support.platform import PlatformForTests, platform_for_tests
from tests.support.postgres import PostgresForTests, running_postgres
from tests.support.tokens import Tokens


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Lets Ctrl-C reach programs that tests start, where the tests run in a shell's background, deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresForTests]:
    """A PostgreSQL server; `database_url(service)` gives a role with its own, migrated schema."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedObjectStore]:
    """An S3 endpoint; `environment()` gives the settings to reach it."""
    with running_object_store(tmp_path_factory.mktemp("object-store")) as store:
        yield store


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    """Access tokens of people, administrators and services, and the verifier that a server under test takes."""
    return Tokens()


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """A collector of traces; the platform's go there."""
    with running_collector() as running:
        yield running


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[PlatformForTests]:
    """The whole platform. Its users are marked `xdist_group("platform")`, so that one process starts it, once."""
    home = tmp_path_factory.mktemp("platform")
    with platform_for_tests(home, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint) as running:
        yield running
