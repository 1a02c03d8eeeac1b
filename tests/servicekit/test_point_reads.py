"""Rows read without a session."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from servicekit.database import asyncpg_dsn
from servicekit.errors import Unavailable
from servicekit.point_reads import PointReads
from tests.support.postgres import PostgresForTests


@pytest.fixture
def dsn(postgres: PostgresForTests) -> str:
    """A database, as asyncpg names it."""
    return asyncpg_dsn(postgres.database_url("auth"))


@pytest.fixture
async def reads(dsn: str) -> AsyncIterator[PointReads]:
    """Reads by one connection, so that each test knows which."""
    async with PointReads(dsn, pool_size=1) as opened:
        yield opened


async def test_a_row_by_the_names_of_its_columns(reads: PointReads) -> None:
    """Columns come as Python's own types, JSON included; no row is None."""
    row = await reads.row("""SELECT $1::integer AS number, '{"deep": [1, null]}'::jsonb AS document""", 3)
    assert row is not None
    assert dict(row) == {"number": 3, "document": {"deep": [1, None]}}
    assert await reads.row("SELECT 1 WHERE $1", False) is None


async def test_nothing_is_written(reads: PointReads) -> None:
    """The connections only read: a statement that writes is refused."""
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await reads.row("CREATE TABLE point_reads_write (number integer)")


async def test_a_lost_connection_is_replaced(reads: PointReads, dsn: str) -> None:
    """When the server ends the connection, a read fails as unavailable at most once, and the next has a new one."""
    row = await reads.row("SELECT pg_backend_pid() AS pid")
    assert row is not None
    other = await asyncpg.connect(dsn)
    await other.execute("SELECT pg_terminate_backend($1, 10000)", row["pid"])
    await other.close()
    try:
        again = await reads.row("SELECT pg_backend_pid() AS pid")
    except Unavailable:
        again = await reads.row("SELECT pg_backend_pid() AS pid")
    assert again is not None
    assert again["pid"] != row["pid"]


async def test_no_server(tmp_path: Path) -> None:
    """Where there is no server, reads can be opened, and say that the database is unavailable."""
    async with PointReads(f"postgresql://auth@/mirage?host={tmp_path}") as reads:
        with pytest.raises(Unavailable):
            await reads.row("SELECT 1")
