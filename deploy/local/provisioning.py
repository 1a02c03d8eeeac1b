"""What the platform needs in PostgreSQL before its services can start: one role and one schema a service."""

import re
from collections.abc import Mapping

import asyncpg

DATABASE = "mirage"
ADMINISTRATOR = "postgres"

_NAME = re.compile(r"[a-z][a-z_]{0,62}")


async def provision(administrator_dsn: str, passwords: Mapping[str, str]) -> None:
    """Makes the database, and for each service a role and a schema of its name; `passwords` is by service.

    A role reaches the database, its own schema and nothing else. Doing it again changes nothing but passwords.

    Raises:
        ValueError: a service's name is no plain identifier.
    """
    for service in passwords:
        _checked(service)
    connection = await asyncpg.connect(administrator_dsn, timeout=10)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    connection = await asyncpg.connect(administrator_dsn, database=DATABASE, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
            await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            for service, password in passwords.items():
                await _provision_service(connection, service, password)
    finally:
        await connection.close()


async def _provision_service(connection: asyncpg.Connection, service: str, password: str) -> None:
    # The server writes the statement, since DDL takes no parameters and the password needs its quoting.
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", service)
    verb = "ALTER" if exists else "CREATE"
    options = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD"
    statement = await connection.fetchval(
        "SELECT format($1, $2::text, $3::text)", f"{verb} ROLE %I {options} %L", service, password
    )
    await connection.execute(statement)
    await connection.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO "{service}"')
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{service}" AUTHORIZATION "{service}"')
    await connection.execute(f'ALTER ROLE "{service}" IN DATABASE {DATABASE} SET search_path = "{service}"')


async def drop(administrator_dsn: str, service: str) -> None:
    """Drops a service's schema with all that is in it; provisioning makes an empty one."""
    connection = await asyncpg.connect(administrator_dsn, database=DATABASE, timeout=10)
    try:
        await connection.execute(f'DROP SCHEMA IF EXISTS "{_checked(service)}" CASCADE')
    finally:
        await connection.close()


def _checked(service: str) -> str:
    if not _NAME.fullmatch(service):
        raise ValueError(f"{service!r} is no name for a role and a schema.")
    return service
