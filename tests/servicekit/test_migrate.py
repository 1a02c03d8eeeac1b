"""Migrations connect as the services do."""

import asyncio

import pytest

from servicekit import migrate
from servicekit.database import Database
from tests.support.certificates import Authority
from tests.support.postgres import PostgresForTests


async def test_options_of_the_url(postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Options of PostgreSQL's own, such as those for TLS, are taken from the URL by services and migrations alike."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    url = f"{postgres.database_url('auth')}&sslmode=verify-full&sslrootcert={authority.file}"
    await asyncio.to_thread(migrate.upgrade, "auth", url)
    database = Database(url)
    await database.ping()
    await database.close()
