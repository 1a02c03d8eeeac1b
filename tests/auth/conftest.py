"""Fixtures of the auth service's tests."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from servicekit.database import Database
from servicekit.server import running
from services.auth.server import application
from services.auth.settings import Settings
from tests.auth.platform import AuthService
from tests.support.postgres import PostgresForTests

NOWHERE = "127.0.0.1:1"  # where nobody serves
SECRETS = {"dataset": "dataset-secret-0123456789", "generation": "generation-secret-0123456789"}


@pytest.fixture(scope="session")
def settings(postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The service's settings: everything real, but hashes that cost little."""
    directory: Path = tmp_path_factory.mktemp("auth")
    secrets_file = directory / "service-secrets.json"
    secrets_file.write_text(json.dumps(SECRETS))
    return Settings(
        database_url=SecretStr(postgres.database_url("auth")),
        signing_keys_dir=directory / "keys",
        service_secrets_file=secrets_file,
        shutdown_grace_seconds=0,
        activity_address=NOWHERE,
        dataset_address=NOWHERE,
        generation_address=NOWHERE,
        optimizer_address=NOWHERE,
        deletion_settle_seconds=0.5,
        password_hash_memory_kib=64,
        password_hash_iterations=1,
        password_hash_lanes=1,
    )


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The service's database, without accounts."""
    opened = Database.from_settings(settings)
    async with opened.sessions.begin() as session:
        await session.execute(text("TRUNCATE users, revocations, throttles, account_deletions, outbox CASCADE"))
    yield opened
    await opened.close()


@pytest.fixture
async def auth(settings: Settings, database: Database) -> AsyncIterator[AuthService]:
    """A running auth service on an empty database."""
    async with running(settings, application(settings)) as address, grpc.aio.insecure_channel(address) as channel:
        yield AuthService(channel, settings, database)
