"""The gateway in front of the real auth service: what one signs, the other checks."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import jwt
import pytest
from pydantic import SecretStr

from deploy.local.services import SERVICES
from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2, account_pb2_grpc
from servicekit.server import running
from services.auth.keys import rotate
from services.auth.server import application
from services.auth.settings import Settings
from services.auth.throttling import SIGN_IN as RULE
from tests.gateway.envoy import RunningEnvoy, running_envoy, until
from tests.gateway.test_errors import error_of
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

ADA = {"email": "ada.gateway@example.org", "password": "correct horse battery staple", "display_name": "Ada"}
SIGN_IN = {name: ADA[name] for name in ("email", "password")}


@pytest.fixture
def settings(postgres: PostgresForTests, tmp_path: Path) -> Settings:
    """The auth service's settings, with times that a test can wait for."""
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"dataset": "dataset-secret-0123456789"}))
    made = Settings(
        database_url=SecretStr(postgres.database_url("auth")),
        signing_keys_dir=tmp_path / "keys",
        service_secrets_file=secrets,
        shutdown_grace_seconds=0,
        password_hash_memory_kib=64,
        password_hash_iterations=1,
        password_hash_lanes=1,
        signing_key_publish_seconds=2,
        activity_address="127.0.0.1:1",
        dataset_address="127.0.0.1:1",
        generation_address="127.0.0.1:1",
        optimizer_address="127.0.0.1:1",
    )
    return made.model_copy(update={"access_token_expire_minutes": 0.1, "service_token_expire_minutes": 0.1})


@pytest.fixture
async def envoy(settings: Settings, tmp_path: Path) -> AsyncIterator[RunningEnvoy]:
    """An Envoy in front of a running auth service."""
    async with running(settings, application(settings)) as address:
        addresses = dict.fromkeys((f"{service}_address" for service in SERVICES), address)
        others: dict[str, Any] = {**addresses, "rate_limits": "off"}  # auth's own limits are what is tried
        gateway = GatewaySettings(**others, signing_keys_cache_seconds=1)
        async with _in_a_thread(tmp_path, gateway) as envoy:
            yield envoy


@asynccontextmanager
async def _in_a_thread(directory: Path, settings: GatewaySettings) -> AsyncIterator[RunningEnvoy]:
    """Starts and stops Envoy while this loop goes on serving what Envoy waits for."""
    manager = running_envoy(directory, settings)
    try:
        envoy = await asyncio.to_thread(manager.__enter__)
        await asyncio.to_thread(until, lambda: _has_keys(envoy), "the signing keys' arrival at Envoy")
        yield envoy
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def _has_keys(envoy: RunningEnvoy) -> bool:
    """Whether Envoy can say of a token that it is wrong, and not only that it can't be checked."""
    token = Tokens().user()
    return httpx.get(f"{envoy.url}/auth/me", headers={"authorization": f"Bearer {token}"}).status_code == 401


async def test_signing_up_and_in(envoy: RunningEnvoy) -> None:
    """A person registers, signs in and is known over REST and gRPC by the token that auth gave."""
    async with httpx.AsyncClient(base_url=f"{envoy.url}/api/v1", timeout=30) as client:
        registered = await client.post("/auth/register", json=ADA)
        assert registered.status_code == 200, registered.text
        assert registered.json()["data"]["email"] == ADA["email"]
        pair = (await client.post("/auth/login", json=SIGN_IN)).json()["data"]
        client.headers["authorization"] = f"Bearer {pair['access_token']}"
        me = await client.get("/auth/me")
        assert me.json()["data"]["display_name"] == "Ada"
        async with grpc.aio.insecure_channel(envoy.target) as channel:
            metadata = (("authorization", client.headers["authorization"]),)
            stub = account_pb2_grpc.AccountServiceStub(channel)
            user = await stub.GetMe(account_pb2.GetMeRequest(), metadata=metadata, timeout=30)
        assert user.user_id == me.json()["data"]["user_id"]
        users = await client.get("/admin/users")
        assert users.status_code == 403
        assert error_of(users)["code"] == "PERMISSION_DENIED"


async def test_every_wrong_field_is_named(envoy: RunningEnvoy) -> None:
    """What auth finds wrong with a request reaches a REST client field by field."""
    async with httpx.AsyncClient(base_url=envoy.url, timeout=30) as client:
        answer = await client.post("/auth/register", json={"email": "nobody", "password": "short", "display_name": ""})
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == "INVALID_REQUEST"
    violations = next(detail["field_violations"] for detail in error["details"] if "field_violations" in detail)
    assert {violation["field"] for violation in violations} == {"email", "password", "display_name"}


async def test_wrong_password(envoy: RunningEnvoy) -> None:
    """A refusal by auth on an open route is told as auth says it."""
    async with httpx.AsyncClient(base_url=envoy.url, timeout=30) as client:
        answer = await client.post("/auth/login", json={"email": "nobody@example.org", "password": "wrong password"})
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "INVALID_CREDENTIALS"


async def test_guessing_is_limited(envoy: RunningEnvoy) -> None:
    """Wrong passwords end in 429, which says when to come back; another address in a header doesn't help."""
    wrong = {"email": "ada.guessed@example.org", "password": "wrong password"}
    async with httpx.AsyncClient(base_url=f"{envoy.url}/api/v1", timeout=30) as client:
        answers = [
            await client.post("/auth/login", json=wrong, headers={"x-forwarded-for": f"203.0.113.{number}"})
            for number in range(RULE.at_once + 1)
        ]
        form = {"grant_type": "password", "username": wrong["email"], "password": "another guess"}
        by_form = await client.post("/auth/token", data=form)
    assert [answer.status_code for answer in answers] == [401] * RULE.at_once + [429]
    headers = answers[-1].headers
    assert error_of(answers[-1])["code"] == "RATE_LIMIT_EXCEEDED"
    assert 0 < int(headers["retry-after"]) <= RULE.every_s
    assert headers["x-ratelimit-reset"] == headers["retry-after"]
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == (str(RULE.at_once), "0")
    assert by_form.status_code == 429


@pytest.mark.slow
async def test_rotating_keys(envoy: RunningEnvoy, settings: Settings) -> None:
    """While the signing key changes no token is refused at any moment; then the old key is gone, here and at Envoy."""
    person = {**ADA, "email": "ada.rotates@example.org"}
    credentials = {name: person[name] for name in ("email", "password")}
    async with httpx.AsyncClient(base_url=envoy.url, timeout=30) as client:
        (await client.post("/auth/register", json=person)).raise_for_status()

        async def signed_in() -> str:
            return str((await client.post("/auth/login", json=credentials)).json()["data"]["access_token"])

        async def status(token: str) -> int:
            return (await client.get("/auth/me", headers={"authorization": f"Bearer {token}"})).status_code

        old = await signed_in()
        assert await status(old) == 200
        await asyncio.to_thread(rotate, settings.signing_keys_dir, settings.key_publication, settings.signed_lifetime)
        async with asyncio.timeout(60):
            while _key_id(new := await signed_in()) == _key_id(old):
                assert await status(new) == 200
            assert await status(new) == 200
            if jwt.decode(old, options={"verify_signature": False})["exp"] > time.time():
                assert await status(old) == 200
            while len((await client.get("/.well-known/jwks.json")).json()["keys"]) > 1:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
        assert await status(old) == 401
        assert await status(await signed_in()) == 200


def _key_id(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])
