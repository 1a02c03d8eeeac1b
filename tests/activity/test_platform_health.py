"""How the platform is, told part by part, also when parts of it are away."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from deploy.local.ports import free_port
from mirage.activity.v1 import platform_health_pb2, platform_health_pb2_grpc
from mirage.dataset.v1 import source_pb2
from mirage.generation.v1 import trial_pb2
from mirage.health.v1 import service_health_pb2 as pb
from servicekit.health import Finding, Look
from servicekit.readiness import Check
from servicekit.server import Application, running
from services.activity.server import application
from services.activity.settings import Settings
from tests.activity.platform import settings_for
from tests.support.auth_peer import serving_auth, serving_peer
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


def _peer(
    tokens: Tokens, name: str, needs: Mapping[str, Check] | None = None, looks: Mapping[str, Look] | None = None
) -> Application:
    """A service that has no RPCs but those that every service has."""
    service = {
        "dataset": source_pb2.DESCRIPTOR.services_by_name["SourceService"],
        "generation": trial_pb2.DESCRIPTOR.services_by_name["TrialService"],
    }[name]
    return Application([service.full_name], lambda _server: None, tokens.verifier, needs=needs or {}, looks=looks or {})


class Asked:
    """An activity service with its platform."""

    def __init__(self, channel: grpc.aio.Channel, tokens: Tokens) -> None:
        self._stub = platform_health_pb2_grpc.PlatformHealthServiceStub(channel)
        self._token = tokens.administrator()

    async def ask(self, token: str = "") -> tuple[platform_health_pb2.PlatformHealth, dict[str, str]]:
        """What an administrator is told, and the metadata that the gateway goes by."""
        call = self._stub.GetPlatformHealth(
            platform_health_pb2.GetPlatformHealthRequest(),
            metadata=(("authorization", f"Bearer {token or self._token}"),),
        )
        metadata = {key: str(value) for key, value in await call.initial_metadata() or ()}
        return await call, metadata


@asynccontextmanager
async def asked(postgres: PostgresForTests, tokens: Tokens, **addresses: str) -> AsyncIterator[Asked]:
    """A running activity service that knows these others."""
    port = free_port()
    given: dict[str, Any] = {"grpc_port": port, "activity_address": f"127.0.0.1:{port}", **addresses}
    with tempfile.TemporaryDirectory() as audit_keys:
        settings = settings_for(postgres, audit_keys_dir=audit_keys, **given)
        async with _asking(settings, tokens) as activity:
            yield activity


@asynccontextmanager
async def _asking(settings: Settings, tokens: Tokens) -> AsyncIterator[Asked]:
    async with (
        running(settings, application(settings)) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Asked(channel, tokens)


async def test_all_is_well(postgres: PostgresForTests, tokens: Tokens) -> None:
    """Every service is told with its version, its latency, its parts and since when, its own among them."""

    async def workers() -> Finding:
        return Finding({"connected": 2})

    async with AsyncExitStack() as stack:
        generation = await stack.enter_async_context(
            serving_peer(_peer(tokens, "generation", looks={"workers": workers}))
        )
        auth = await stack.enter_async_context(serving_auth(tokens))
        activity = await stack.enter_async_context(
            asked(postgres, tokens, auth_address=auth, generation_address=generation)
        )
        health, metadata = await activity.ask()
    assert [service.name for service in health.services] == ["activity", "auth", "generation"]
    assert health.state == pb.HEALTH_STATE_UP
    assert all(service.version and service.latency_ms > 0 for service in health.services)
    assert [part.name for part in health.services[0].parts] == ["database"]
    assert dict(health.services[2].parts[0].figures) == {"connected": 2}
    assert "x-http-code" not in metadata


async def test_service_away(postgres: PostgresForTests, tokens: Tokens) -> None:
    """A service that can't be reached makes the platform down, since when it is so stays, and the others are told."""
    async with AsyncExitStack() as stack:
        dataset = await stack.enter_async_context(serving_peer(_peer(tokens, "dataset")))
        auth = await stack.enter_async_context(serving_auth(tokens))
        nobody = f"127.0.0.1:{free_port()}"
        activity = await stack.enter_async_context(
            asked(postgres, tokens, auth_address=auth, dataset_address=dataset, generation_address=nobody)
        )
        first, metadata = await activity.ask()
        again, _ = await activity.ask()
    states = {service.name: service.state for service in first.services}
    assert states["generation"] == pb.HEALTH_STATE_DOWN
    assert states["dataset"] == pb.HEALTH_STATE_UP
    assert first.state == pb.HEALTH_STATE_DOWN
    assert (metadata["x-http-code"], metadata["x-error-code"]) == ("503", "PLATFORM_DOWN")
    assert first.services[-1].message == "It can't be reached."
    assert nobody not in str(first)
    assert [service.since_time for service in first.services] == [service.since_time for service in again.services]


async def test_part_of_a_service_away(postgres: PostgresForTests, tokens: Tokens) -> None:
    """A service whose object store is away is down; one without workers is degraded, and the platform serves then."""

    async def store() -> None:
        raise ConnectionError

    async def no_workers() -> Finding:
        return Finding({"connected": 0}, "No worker is connected.")

    async with AsyncExitStack() as stack:
        dataset = await stack.enter_async_context(serving_peer(_peer(tokens, "dataset", {"object store": store})))
        looks = {"workers": no_workers}
        generation = await stack.enter_async_context(serving_peer(_peer(tokens, "generation", looks=looks)))
        auth = await stack.enter_async_context(serving_auth(tokens))
        degraded = await stack.enter_async_context(
            asked(postgres, tokens, auth_address=auth, generation_address=generation)
        )
        health, metadata = await degraded.ask()
        assert health.state == pb.HEALTH_STATE_DEGRADED
        assert "x-http-code" not in metadata
        down = await stack.enter_async_context(asked(postgres, tokens, auth_address=auth, dataset_address=dataset))
        async with asyncio.timeout(20):
            while (await down.ask())[0].state != pb.HEALTH_STATE_DOWN:  # noqa: ASYNC110 - in another task
                await asyncio.sleep(0.05)


async def test_auth_away(postgres: PostgresForTests, tokens: Tokens) -> None:
    """Without auth nobody can prove who asks; whether the others serve is told all the same."""
    async with AsyncExitStack() as stack:
        dataset = await stack.enter_async_context(serving_peer(_peer(tokens, "dataset")))
        auth = AsyncExitStack()
        address = await auth.enter_async_context(serving_auth(tokens))
        activity = await stack.enter_async_context(
            asked(postgres, tokens, auth_address=address, dataset_address=dataset)
        )
        await activity.ask()  # so that it has auth's keys to know administrators by
        await auth.aclose()
        health, metadata = await activity.ask()
    states = {service.name: service.state for service in health.services}
    assert states["auth"] == pb.HEALTH_STATE_DOWN
    assert states["dataset"] in (pb.HEALTH_STATE_UP, pb.HEALTH_STATE_UNKNOWN)  # as long as the last token is good: up
    assert metadata["x-http-code"] == "503"


async def test_no_token_to_ask_with(postgres: PostgresForTests, tokens: Tokens) -> None:
    """A service that takes us for nobody is told as serving, with nothing known of its parts."""
    others = Tokens()
    async with AsyncExitStack() as stack:
        dataset = await stack.enter_async_context(serving_peer(_peer(others, "dataset")))
        auth = await stack.enter_async_context(serving_auth(tokens))
        activity = await stack.enter_async_context(asked(postgres, tokens, auth_address=auth, dataset_address=dataset))
        health, _ = await activity.ask()
    assert {service.name: service.state for service in health.services}["dataset"] == pb.HEALTH_STATE_UNKNOWN
    assert health.state == pb.HEALTH_STATE_DEGRADED


async def test_for_administrators_alone(postgres: PostgresForTests, tokens: Tokens) -> None:
    """Nobody else is told what the platform is made of."""
    async with AsyncExitStack() as stack:
        auth = await stack.enter_async_context(serving_auth(tokens))
        activity = await stack.enter_async_context(asked(postgres, tokens, auth_address=auth))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await activity.ask(tokens.user())
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
