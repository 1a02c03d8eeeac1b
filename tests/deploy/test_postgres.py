"""The embedded PostgreSQL: who gets in, and how far."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import Postgres, PostgresFailed
from deploy.local.probes import until
from deploy.local.program import running

PASSWORDS = {"auth": "auth's own/pass:word@", "dataset": "dataset-password"}
ADMINISTRATOR_PASSWORD = "administrator's"
FAST = {"fsync": "off"}


def wait_until_ready(server: Postgres) -> None:
    """Waits until the server takes connections."""
    asyncio.run(until(server.answers, timeout_seconds=60))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server with two services' roles."""
    directory = tmp_path_factory.mktemp("postgres")
    server = Postgres(directory / "data" / "postgres", ADMINISTRATOR_PASSWORD, FAST)
    server.prepare()
    with running(server.program, directory, directory / "log"):
        wait_until_ready(server)
        asyncio.run(server.provision(PASSWORDS))
        yield server
    server.tidy()


async def connect(server: Postgres, service: str, password: str, database: str = "mirage") -> asyncpg.Connection:
    """A connection as a service, the way a service makes it."""
    url = server.service_url(service, password).replace("+asyncpg", "")
    return await asyncpg.connect(url, database=database)


async def test_service_works_in_its_own_schema(server: Postgres) -> None:
    """What a service makes without naming a schema is in its own."""
    connection = await connect(server, "auth", PASSWORDS["auth"])
    try:
        await connection.execute("CREATE TABLE account (id int)")
        assert await connection.fetchval("SELECT schemaname FROM pg_tables WHERE tablename = 'account'") == "auth"
        await connection.execute("DROP TABLE account")
    finally:
        await connection.close()


@pytest.mark.parametrize("password", ["", "wrong", PASSWORDS["auth"]])
async def test_wrong_password_is_refused(server: Postgres, password: str) -> None:
    """No password, a wrong one or another service's opens nothing."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(server, "dataset", password)


async def test_other_databases_are_closed(server: Postgres) -> None:
    """A service reaches the platform's database only."""
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await connect(server, "auth", PASSWORDS["auth"], database="postgres")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM auth.secrets",
        "CREATE TABLE auth.intruder (id int)",
        "CREATE TABLE public.intruder (id int)",
        "CREATE SCHEMA intruder",
        "ALTER ROLE auth PASSWORD 'mine'",
        "SET ROLE auth",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
async def test_service_has_no_right_elsewhere(server: Postgres, statement: str) -> None:
    """A service can neither read nor write another's schema, nor make one, nor become another."""
    owner = await connect(server, "auth", PASSWORDS["auth"])
    intruder = await connect(server, "dataset", PASSWORDS["dataset"])
    try:
        await owner.execute("CREATE TABLE IF NOT EXISTS secrets (id int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await intruder.execute(statement)
    finally:
        await intruder.close()
        await owner.close()


async def test_provisioning_again_keeps_data(server: Postgres) -> None:
    """Provisioning a second time keeps what is stored, sets new passwords and adds new services."""
    connection = await connect(server, "auth", PASSWORDS["auth"])
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await connection.close()
    try:
        await server.provision({"auth": "changed", "newcomer": "password of the newcomer"})
        connection = await connect(server, "auth", "changed")
        assert await connection.fetchval("SELECT number FROM kept") == 7
        await connection.close()
        await (await connect(server, "newcomer", "password of the newcomer")).close()
    finally:
        await server.provision(PASSWORDS)


async def test_no_role_of_a_strange_name(server: Postgres) -> None:
    """A service's name that would need quoting is refused before any statement is made of it."""
    with pytest.raises(ValueError, match="no name"):
        await server.provision({'a"; DROP SCHEMA auth; --': "password"})


def test_data_survives_and_secrets_are_private(tmp_path: Path) -> None:
    """A server that is stopped and started again, below a very long path, has its data; its files are private."""
    home = tmp_path / ("deep" * 30)
    server = Postgres(home / "data" / "postgres", ADMINISTRATOR_PASSWORD, FAST)
    assert len(str(server.socket_directory)) < 90
    for number in (1, 2):
        server.prepare()
        with running(server.program, tmp_path, tmp_path / "log"):
            wait_until_ready(server)
            asyncio.run(_write(server, number))
    assert (server.data / "pg_hba.conf").stat().st_mode & 0o077 == 0
    assert (tmp_path / "postgres.launch.json").stat().st_mode & 0o777 == 0o600
    server.tidy()
    assert not server.socket_directory.exists()


async def _write(server: Postgres, number: int) -> None:
    connection = await asyncpg.connect(server.administrator_dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS visits (number int)")
    await connection.execute("INSERT INTO visits VALUES ($1)", number)
    assert [row[0] for row in await connection.fetch("SELECT number FROM visits ORDER BY 1")] == [*range(1, number + 1)]
    await connection.close()


def test_lock_of_a_killed_server(tmp_path: Path) -> None:
    """A server starts over the lock of one that was killed, though another program has its process id by now."""
    server = Postgres(tmp_path / "data" / "postgres", ADMINISTRATOR_PASSWORD, FAST)
    server.prepare()
    (server.data / "postmaster.pid").write_text(f"1\n{server.data}\n")
    server.prepare()
    with running(server.program, tmp_path, tmp_path / "log"):
        wait_until_ready(server)
    server.tidy()


def test_lost_administrator_password(tmp_path: Path) -> None:
    """Where the kept password isn't the server's, the fault and the remedy are named."""
    server = Postgres(tmp_path / "data" / "postgres", ADMINISTRATOR_PASSWORD, FAST)
    server.prepare()
    with running(server.program, tmp_path, tmp_path / "log"):
        wait_until_ready(server)
        with pytest.raises(PostgresFailed, match="another administrator's password"):
            wait_until_ready(Postgres(server.data, "forgotten", FAST))
    server.tidy()
