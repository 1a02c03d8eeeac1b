"""The schema: what migrations make is what the code expects, and they go back as well."""

import asyncio

import alembic.command
import asyncpg

from servicekit import migrate
from servicekit.database import asyncpg_dsn
from tests.support.postgres import PostgresForTests


async def tables(url: str) -> set[str]:
    """The tables in the service's schema, Alembic's own aside."""
    connection = await asyncpg.connect(asyncpg_dsn(url))
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows} - {"alembic_version"}


def test_migrations(postgres: PostgresForTests) -> None:
    """Migrations make exactly what the models say; taken back they leave nothing, and can be made again."""
    url = postgres.database_url("generation")
    alembic.command.check(migrate.configuration("generation", url))
    migrate.downgrade("generation", url, "base")
    assert asyncio.run(tables(url)) == set()
    migrate.upgrade("generation", url)
    alembic.command.check(migrate.configuration("generation", url))
