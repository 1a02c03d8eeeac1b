"""Fixtures that all tests share: the real PostgreSQL and object store, one of each a test process, and tokens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.object_store import EmbeddedObjectStore
from tests.support.object_store import running_object_store
from tests.support.postgres import PostgresForTests, running_postgres
from tests.support.tokens import Tokens


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresForTests]:
    """A PostgreSQL server; `database_url(service)` gives a role with its own, migrated schema."""
    with running_postgres(_directory(tmp_path_factory, "postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedObjectStore]:
    """An S3 endpoint; `environment()` gives the settings to reach it."""
    with running_object_store(_directory(tmp_path_factory, "object-store")) as store:
        yield store


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    """Access tokens of people, administrators and services, and the verifier that a server under test takes."""
    return Tokens()


def _directory(factory: pytest.TempPathFactory, name: str) -> Path:
    return factory.mktemp(name)
