"""Single rows read by key, as cheaply as PostgreSQL gives them: for what is asked many times a second.

A session of the ORM takes a transaction of its own, asks whether its connection is alive and keeps track of what it
read; for one row that is never changed this costs several times the read. Here it is one prepared statement.
"""

import json
from collections.abc import Mapping
from typing import Any, Self

import asyncpg

from servicekit.database import DATABASE_AWAY, asyncpg_dsn
from servicekit.errors import Unavailable
from servicekit.settings import ServiceSettings


class PointReads:
    """A pool of connections that only read, as an asynchronous context manager."""

    def __init__(self, dsn: str, *, pool_size: int = 10, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._pool = asyncpg.create_pool(
            dsn,
            min_size=0,  # the service starts whether or not the database is there
            max_size=pool_size,
            init=_decode_json,
            reset=_keep_as_is,
            timeout=timeout_s,
            command_timeout=timeout_s,
            server_settings={"default_transaction_read_only": "on"},
        )

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> Self:
        """Reads from the database that the settings name."""
        return cls(
            asyncpg_dsn(settings.database_url.get_secret_value()),
            pool_size=settings.database_pool_size,
            timeout_s=settings.database_timeout_seconds,
        )

    async def __aenter__(self) -> Self:
        await self._pool
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._pool.close()

    async def row(self, statement: str, *arguments: object) -> Mapping[str, Any] | None:
        """The row that a statement finds, by the names of its columns; None for none.

        Args:
            statement: SQL with `$1`, `$2`, … for the arguments; the same text each time, so that it is prepared once.
            arguments: what stands for them.

        Raises:
            Unavailable: the database can't be reached.
        """
        try:
            async with self._pool.acquire(timeout=self._timeout_s) as connection:
                row: Mapping[str, Any] | None = await connection.fetchrow(statement, *arguments)
                return row
        except DATABASE_AWAY as error:
            raise Unavailable("database") from error


async def _decode_json(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _keep_as_is(_connection: asyncpg.Connection) -> None:
    """Nothing of a connection changes by reading, so nothing is put back: it would cost a second round trip."""
