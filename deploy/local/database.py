"""Work on the services' schemas: migrations, and starting over. Whether or not the platform runs."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import alembic.command
from alembic.config import Config

from deploy.local.home import AlreadyRunning, Home
from deploy.local.parts import Backing, backing
from deploy.local.probes import until
from deploy.local.program import launch_file, running
from deploy.local.provisioning import drop
from deploy.local.services import STORES_OBJECTS
from deploy.local.settings import LocalSettings
from servicekit import migrate

_START_TIMEOUT_SECONDS = 120


@contextmanager
def reachable_database(settings: LocalSettings, environment: Mapping[str, str]) -> Iterator[Backing]:
    """What the services stand on, with the database running: the platform's own, or else started for the while."""
    home = Home(settings.mirage_home)
    with ExitStack() as stack:
        try:
            stack.enter_context(home.locked())
        except AlreadyRunning:
            base = backing(settings, home, environment)
            asyncio.run(until(base.postgres.answers, _START_TIMEOUT_SECONDS))  # it may be about to start
        else:
            base = backing(settings, home, environment)
            stack.enter_context(_started(base))
        yield base


def upgrade(base: Backing, services: Sequence[str], revision: str = "head") -> None:
    """Brings schemas up to a revision."""
    for service in services:
        migrate.upgrade(service, base.database_url(service), revision)


def downgrade(base: Backing, services: Sequence[str], revision: str = "-1") -> None:
    """Takes schemas back to a revision."""
    for service in services:
        migrate.downgrade(service, base.database_url(service), revision)


def show_current(base: Backing, services: Sequence[str]) -> None:
    """Prints the revision of each schema."""
    _for_each(base, services, lambda configuration: alembic.command.current(configuration, verbose=False))


def show_history(base: Backing, services: Sequence[str]) -> None:
    """Prints the revisions of each schema, newest first, and which is the current one."""
    _for_each(base, services, lambda configuration: alembic.command.history(configuration, indicate_current=True))


def new_revision(base: Backing, service: str, message: str) -> None:
    """Writes a migration from the difference between the service's models and its schema, which is upgraded first."""
    upgrade(base, [service])
    configuration = migrate.configuration(service, base.database_url(service))
    alembic.command.revision(configuration, message=message, autogenerate=True)


def reset(settings: LocalSettings, environment: Mapping[str, str], services: Sequence[str]) -> None:
    """Empties the services' schemas and buckets for good, and makes the schemas anew.

    Raises:
        AlreadyRunning: the platform runs.
    """
    home = Home(settings.mirage_home)
    with home.locked():
        base = backing(settings, home, environment)
        with _started(base):
            for service in services:
                asyncio.run(drop(base.postgres.administrator_dsn, service))
                if service in STORES_OBJECTS:
                    bucket = base.object_store.data / f"{settings.s3_bucket_prefix}-{service}"
                    shutil.rmtree(bucket, ignore_errors=True)
            asyncio.run(base.postgres.provision(base.credentials.postgres))
            upgrade(base, services)


def environment_of(base: Backing, service: str) -> dict[str, str]:
    """A service's environment: that of the process that runs, or else what it would be."""
    launched = launch_file(base.home.run, service)
    if base.home.running_platform() and launched.exists():
        environment: dict[str, str] = json.loads(launched.read_text())["environment"]
        return environment
    return base.environment(service)


@contextmanager
def _started(base: Backing) -> Iterator[None]:
    base.postgres.prepare()
    try:
        with running(base.postgres.program, base.home.run, base.home.logs / "postgres.log"):
            asyncio.run(until(base.postgres.answers, _START_TIMEOUT_SECONDS))
            asyncio.run(base.postgres.provision(base.credentials.postgres))
            yield
    finally:
        base.postgres.tidy()


def _for_each(base: Backing, services: Sequence[str], show: Callable[[Config], None]) -> None:
    for service in services:
        print(f"{service}:")  # noqa: T201 - Alembic prints what follows
        show(migrate.configuration(service, base.database_url(service)))
