"""The service and its administrator's command as processes, its migrations, and what its logs hold."""

import asyncio
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic.command
import grpc.aio
import pytest

from servicekit import migrate
from servicekit.database import Database
from services.auth import admin
from services.auth.passwords import Passwords
from services.auth.settings import Settings
from tests.auth.platform import PASSWORD, AuthService
from tests.support.errors import refused

ROOT = Path(__file__).resolve().parents[2]


def environment_of(settings: Settings, **changes: str) -> dict[str, str]:
    """The environment of a process with these settings."""
    values = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "SIGNING_KEYS_DIR": str(settings.signing_keys_dir),
        "SERVICE_SECRETS_FILE": str(settings.service_secrets_file),
        "PASSWORD_HASH_MEMORY_KIB": str(settings.password_hash_memory_kib),
        "PASSWORD_HASH_ITERATIONS": "1",
        "PASSWORD_HASH_LANES": "1",
        "SHUTDOWN_GRACE_SECONDS": "1",
        **{f"{name.upper()}_ADDRESS": address for name, address in settings.holders.items()},
    }
    return {**values, **changes}


def run(module: str, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a module to its end."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def service_process(environment: dict[str, str]) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A running service process and its address; killed at the end if it still runs."""
    command = [sys.executable, "-m", "services.auth"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                if event["message"] == "serving":
                    yield process, event["metadata"]["address"]
                    break
            else:
                pytest.fail("the service ended before it served")
        finally:
            process.kill()


async def terminated(process: "subprocess.Popen[str]") -> int:
    """The status with which a process ends on SIGTERM."""
    process.terminate()
    return await asyncio.to_thread(process.wait, 30)


@pytest.fixture
def administrator_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The administrator's command in this very process, which spares a start; gives what was printed."""
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)

    def create(*arguments: str, text: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        admin.main(["create", *arguments])
        return capsys.readouterr().out

    return create


async def test_first_administrator(auth: AuthService) -> None:
    """Without a password the command makes one up, prints it once, and it signs an administrator in."""
    arguments = ("create", "--email", "Root@example.org", "--name", "Root")
    result = await asyncio.to_thread(run, "services.auth.admin", *arguments, environment=environment_of(auth.settings))
    assert result.returncode == 0, result.stderr
    found = re.search(r"with the password (\S+)", result.stdout)
    assert found is not None
    me = await auth.me((await auth.login("root@example.org", found[1])).pair.access_token)
    assert (me.role, me.display_name) == ("administrator", "Root")


async def test_administrator_with_a_password(auth: AuthService, administrator_command: Callable[..., str]) -> None:
    """A password from standard input is taken, and never printed."""
    arguments = ("--email", "root@example.org", "--password-stdin")
    printed = await asyncio.to_thread(administrator_command, *arguments, text=f"{PASSWORD}\n")
    assert "Made the administrator root@example.org." in printed
    assert PASSWORD not in printed
    assert (await auth.me((await auth.login("root@example.org")).pair.access_token)).role == "administrator"


async def test_promotion(auth: AuthService, administrator_command: Callable[..., str]) -> None:
    """An account that exists is promoted and keeps its password; given a new one, its sessions end."""
    person = await auth.user("ada@example.org")
    printed = await asyncio.to_thread(administrator_command, "--email", "Ada@example.org")
    assert "is an administrator now" in printed
    me = await auth.me(person.pair.access_token)
    assert (me.role, me.display_name) == ("administrator", "Ada")
    arguments = ("--email", "ada@example.org", "--password-stdin")
    await asyncio.to_thread(administrator_command, *arguments, text="Battery-staple-9")
    async with refused("SESSION_ENDED"):
        await auth.me(person.pair.access_token)
    assert (await auth.login("ada@example.org", "Battery-staple-9")).user_id == person.user_id


@pytest.mark.parametrize(
    ("arguments", "text", "fault"),
    [
        (["--email", "nobody"], "", "email must be an e-mail address"),
        (["--email", "root@example.org", "--password-stdin"], "weak", "password must have 10"),
        (["--email", "root@example.org", "--password-stdin"], "", "standard input is empty"),
    ],
)
def test_wrong_arguments(
    administrator_command: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
    fault: str,
) -> None:
    """A wrong argument ends the command with status 2 and says what is wrong."""
    with pytest.raises(SystemExit) as exit_:
        administrator_command(*arguments, text=text)
    assert exit_.value.code == 2
    assert fault in capsys.readouterr().err


def test_command_without_a_database(settings: Settings, tmp_path: Path) -> None:
    """Where no database answers, the command says so and ends with status 1."""
    environment = environment_of(settings, DATABASE_URL=f"postgresql+asyncpg://auth:hush-hush@/mirage?host={tmp_path}")
    result = run("services.auth.admin", "create", "--email", "root@example.org", environment=environment)
    assert result.returncode == 1
    assert "database can't be used" in result.stderr
    assert "Traceback" not in result.stderr
    assert "hush-hush" not in result.stderr


async def test_service_process(settings: Settings, database: Database) -> None:
    """The process serves, finds its keys again after a restart, and ends with status 0 on SIGTERM."""
    environment = environment_of(settings)
    with service_process(environment) as (process, address):
        async with grpc.aio.insecure_channel(address) as channel:
            person = await AuthService(channel, settings, database).user()
        assert await terminated(process) == 0
    with service_process(environment) as (process, address):
        async with grpc.aio.insecure_channel(address) as channel:
            again = AuthService(channel, settings, database)
            assert (await again.me(person.pair.access_token)).user_id == person.user_id
        assert await terminated(process) == 0


def test_wrong_settings(settings: Settings, tmp_path: Path) -> None:
    """A wrong setting or file stops the start with its name, and without its value where that may be secret."""
    file = tmp_path / "short.json"
    file.write_text('{"dataset": "hush-hush"}')
    for changes, faults in (
        (
            {"DATABASE_URL": "mysql://hush-hush", "SERVICE_TOKEN_EXPIRE_MINUTES": "60"},
            ["DATABASE_URL", "SERVICE_TOKEN"],
        ),
        ({"SERVICE_SECRETS_FILE": str(tmp_path / "none")}, ["SERVICE_SECRETS_FILE"]),
        ({"SERVICE_SECRETS_FILE": str(file)}, ["SERVICE_SECRETS_FILE", "at least 16 characters"]),
        ({"SIGNING_KEYS_DIR": str(file)}, ["SIGNING_KEYS_DIR"]),
    ):
        result = run("services.auth", environment=environment_of(settings, **changes))
        assert result.returncode == 2, result.stderr
        assert all(fault in result.stderr for fault in faults), result.stderr
        assert "hush-hush" not in result.stderr
        assert "Traceback" not in result.stderr


def test_migrations_match_the_models(settings: Settings) -> None:
    """The migrations make what the models say, and can be taken back and made again."""
    url = settings.database_url.get_secret_value()
    alembic.command.check(migrate.configuration("auth", url))
    migrate.downgrade("auth", url, "base")
    migrate.upgrade("auth", url)
    alembic.command.check(migrate.configuration("auth", url))


async def test_logs_hold_no_secret(auth: AuthService, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed sign-ins are logged with the account's id where it is known, never with what was typed in."""
    person = await auth.user("ada@example.org")
    await auth.refresh(person.pair.refresh_token)
    for email in ("ada@example.org", "Typed-secret-1@example.org"):
        async with refused("INVALID_CREDENTIALS"):
            await auth.login(email, "Typed-secret-1")
    async with refused("REFRESH_TOKEN_REUSED"):
        await auth.refresh(person.pair.refresh_token)
    logged = capsys.readouterr().out
    failures = [line for line in logged.splitlines() if "sign_in_failed" in line]
    assert ["wrong_password" in failures[0], person.user_id in failures[0]] == [True, True]
    assert "unknown_account" in failures[1]
    assert "refresh_token_reused" in logged
    for secret in ("Typed-secret-1", "example.org", PASSWORD, person.pair.refresh_token, person.pair.access_token):
        assert secret not in logged


async def test_an_unknown_account_costs_a_hash(settings: Settings) -> None:
    """Without a stored hash a password is checked all the same, and is never right."""
    passwords = Passwords(settings)
    verdicts = [await passwords.verify(password, None) for password in ("", PASSWORD)]
    passwords.close()
    assert [verdict.correct for verdict in verdicts] == [False, False]
    assert all(verdict.upgraded_hash is None for verdict in verdicts)
