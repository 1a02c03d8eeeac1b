"""A PostgreSQL server for a test session, with the services' real migrations."""

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from deploy.local.postgres import Postgres
from deploy.local.probes import until
from deploy.local.program import running
from deploy.local.services import SERVICES
from servicekit import migrate

# A test's data needn't outlive a power cut.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresForTests:
    """A running server; one role and schema a service."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.passwords = {service: secrets.token_urlsafe(16) for service in SERVICES}
        self._migrated: set[str] = set()
        asyncio.run(server.provision(self.passwords))

    def database_url(self, service: str) -> str:
        """The DATABASE_URL of a service, whose schema is migrated when first asked for."""
        url = self.server.service_url(service, self.passwords[service])
        if service not in self._migrated:
            with ThreadPoolExecutor(1) as thread:  # a test's own event loop may be running in this one
                thread.submit(migrate.upgrade, service, url).result()
            self._migrated.add(service)
        return url


@contextmanager
def running_postgres(directory: Path) -> Iterator[PostgresForTests]:
    """A server with its data in `directory`, as long as the context lasts."""
    server = Postgres(directory / "data" / "postgres", secrets.token_urlsafe(16), _FAST)
    server.prepare()
    try:
        with running(server.program, directory, directory / "postgres.log"):
            asyncio.run(until(server.answers, timeout_seconds=60))
            yield PostgresForTests(server)
    finally:
        server.tidy()
