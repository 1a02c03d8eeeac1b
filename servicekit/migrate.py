"""Migrations of one service: `python -m servicekit.migrate SERVICE upgrade`.

`DATABASE_URL` names the database, with the service's own role, whose search path is its schema. A service's
`migrations/env.py` calls `run_migrations`.
"""

import argparse
import asyncio
import os
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import alembic.command
import asyncpg
from alembic import context, op
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from servicekit.database import asyncpg_dsn

ROOT = Path(__file__).resolve().parent.parent
# A migration that waits for a lock makes everybody behind it wait; better to fail and be run again.
LOCK_TIMEOUT = "5s"
_MIGRATION_LOCK = 0x6D697261  # two processes that migrate at once take turns


def configuration(service: str, database_url: str) -> Config:
    """Alembic's configuration for a service's own migrations."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "services" / service / "migrations"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["database_url"] = database_url
    return config


def upgrade(service: str, database_url: str, revision: str = "head") -> None:
    """Brings the service's schema up to a revision. Not from a running event loop."""
    alembic.command.upgrade(configuration(service, database_url), revision)


def downgrade(service: str, database_url: str, revision: str = "-1") -> None:
    """Takes the service's schema back to a revision."""
    alembic.command.downgrade(configuration(service, database_url), revision)


def run_migrations(target_metadata: MetaData, foreign_tables: Collection[str] = ()) -> None:
    """Runs the migrations that Alembic asks for; the whole of a service's `env.py`.

    `foreign_tables` are a library's own, such as a queue's: no model names them, and none is to be dropped for that.
    """
    asyncio.run(_run_online(context.config.attributes["database_url"], target_metadata, foreign_tables))


def execute_script(sql: str) -> None:
    """Executes several statements at once, inside the migration's transaction; asyncpg prepares only single ones."""
    connection = op.get_bind().connection.driver_connection
    if connection is None:  # pragma: no cover - Alembic always has one when online
        raise RuntimeError("migrations run online only")
    await_only(connection.execute(sql))


async def _run_online(database_url: str, target_metadata: MetaData, foreign_tables: Collection[str]) -> None:
    # Connected to as the service itself connects: by a URL of asyncpg's own, with all its options, such as sslmode.
    dsn = asyncpg_dsn(database_url)
    engine = create_async_engine(database_url, poolclass=NullPool, async_creator=partial(asyncpg.connect, dsn))
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, target_metadata, foreign_tables)
            await connection.commit()
    finally:
        await engine.dispose()


def _migrate(connection: Connection, target_metadata: MetaData, foreign_tables: Collection[str]) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    context.configure(
        connection=connection,
        target_metadata=target_metadata,
        compare_type=True,
        include_name=lambda name, kind, _parents: kind != "table" or name not in foreign_tables,
    )
    with context.begin_transaction():
        context.run_migrations()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m servicekit.migrate", description=__doc__)
    parser.add_argument("service", choices=sorted(path.parent.name for path in ROOT.glob("services/*/migrations")))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("upgrade").add_argument("revision", nargs="?", default="head")
    commands.add_parser("downgrade").add_argument("revision", nargs="?", default="-1")
    commands.add_parser("revision").add_argument("message")
    commands.add_parser("history")
    commands.add_parser("current")
    options = parser.parse_args(arguments)
    database_url = os.environ.get("DATABASE_URL")
    if not database_url:
        parser.error("DATABASE_URL is not set. Example: postgresql+asyncpg://auth:password@localhost:5432/mirage")
    config = configuration(options.service, database_url)
    match options.command:
        case "upgrade":
            alembic.command.upgrade(config, options.revision)
        case "downgrade":
            alembic.command.downgrade(config, options.revision)
        case "revision":
            alembic.command.revision(config, message=options.message, autogenerate=True)
        case "history":
            alembic.command.history(config, indicate_current=True)
        case "current":
            alembic.command.current(config, verbose=True)


if __name__ == "__main__":
    main()
