"""How a service says that it is: by gRPC's own protocol in one word, and by its own RPC part by part."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from mirage.health.v1 import service_health_pb2 as pb
from mirage.health.v1 import service_health_pb2_grpc
from servicekit.health import Finding, Look
from servicekit.readiness import READINESS, Check
from servicekit.server import Application, running
from servicekit.settings import ServiceSettings
from tests.support.servers import NO_DATABASE
from tests.support.tokens import Tokens

_SERVICE = "mirage.auth.v1.AccountService"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class _Accounts(account_pb2_grpc.AccountServiceServicer):
    def __init__(self) -> None:
        self.entered, self.released = asyncio.Event(), asyncio.Event()

    async def GetMe(self, request: object, context: object) -> account_pb2.User:
        self.entered.set()
        await self.released.wait()
        return account_pb2.User()


@asynccontextmanager
async def _serving(
    tokens: Tokens,
    accounts: _Accounts,
    needs: Mapping[str, Check] | None = None,
    looks: Mapping[str, Look] | None = None,
    grace_s: float = 0,
) -> AsyncIterator[str]:
    @asynccontextmanager
    async def application() -> AsyncIterator[Application]:
        yield Application(
            [_SERVICE],
            lambda server: account_pb2_grpc.add_AccountServiceServicer_to_server(accounts, server),
            tokens.verifier,
            needs=needs or {},
            looks=looks or {},
        )

    settings = ServiceSettings(database_url=NO_DATABASE, shutdown_grace_seconds=grace_s)
    async with running(settings, application()) as address:
        yield address


async def _ask(address: str, token: str) -> pb.ServiceHealth:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_health_pb2_grpc.ServiceHealthServiceStub(channel)
        health: pb.ServiceHealth = await stub.GetServiceHealth(
            pb.GetServiceHealthRequest(), metadata=(("authorization", f"Bearer {token}"),)
        )
        return health


async def test_draining(tokens: Tokens) -> None:
    """Who watches hears under every name that a stopping service no longer serves, while its last call is finished."""
    accounts, stop = _Accounts(), asyncio.Event()  # type: ignore[abstract]  # the rest isn't called
    addresses: asyncio.Queue[str] = asyncio.Queue()

    async def serve() -> None:
        async with _serving(tokens, accounts, grace_s=30) as address:
            addresses.put_nowait(address)
            await stop.wait()

    serving = asyncio.create_task(serve())
    async with grpc.aio.insecure_channel(await addresses.get()) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest(service=name)) for name in ("", _SERVICE, READINESS)]
        assert [(await watch.read()).status for watch in watches] == [_SERVING] * 3
        metadata = (("authorization", f"Bearer {tokens.user()}"),)
        call = account_pb2_grpc.AccountServiceStub(channel).GetMe(account_pb2.GetMeRequest(), metadata=metadata)
        await accounts.entered.wait()
        stop.set()
        assert [(await watch.read()).status for watch in watches] == [_NOT_SERVING] * 3
        assert not serving.done()
        accounts.released.set()
        await call
        for watch in watches:
            watch.cancel()
    await serving


async def test_parts(tokens: Tokens) -> None:
    """A service tells what it stands on and what it answers for, with figures, since when, and what is wrong."""

    async def answers() -> None:
        pass

    async def queue() -> Finding:
        return Finding({"waiting": 3})

    async def workers() -> Finding:
        return Finding({"connected": 0}, "No worker is connected.")

    async def broken() -> Finding:
        raise OSError("10.1.2.3 refused")

    looks = {"queue": queue, "workers": workers, "cache": broken}
    accounts = _Accounts()  # type: ignore[abstract]  # the rest isn't called
    async with _serving(tokens, accounts, {"database": answers}, looks) as address:
        health = await _ask(address, tokens.service("activity"))
        again = await _ask(address, tokens.service("activity"))
    assert (health.name, health.state) == ("auth", pb.HEALTH_STATE_DEGRADED)
    assert health.version
    states = {part.name: part.state for part in health.parts}
    assert states == {
        "database": pb.HEALTH_STATE_UP,
        "queue": pb.HEALTH_STATE_UP,
        "workers": pb.HEALTH_STATE_DEGRADED,
        "cache": pb.HEALTH_STATE_UNKNOWN,
    }
    assert dict(health.parts[1].figures) == {"waiting": 3}
    assert "No worker is connected." in health.message
    assert "10.1.2.3" not in str(health)
    assert [part.since_time for part in again.parts] == [part.since_time for part in health.parts]
    assert health.since_time.ToDatetime(UTC) == health.start_time.ToDatetime(UTC)


async def test_part_away(tokens: Tokens) -> None:
    """A service without its database is down, and tells so, since when, and again when it is back."""
    away = asyncio.Event()

    async def database() -> None:
        if away.is_set():
            raise ConnectionError

    async def until(address: str, state: "pb.HealthState.ValueType") -> pb.ServiceHealth:
        async with asyncio.timeout(20):
            while (health := await _ask(address, tokens.service("activity"))).state != state:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.05)
        return health

    async with _serving(tokens, _Accounts(), {"database": database}) as address:  # type: ignore[abstract]  # the rest isn't called
        before = await until(address, pb.HEALTH_STATE_UP)
        away.set()
        down = await until(address, pb.HEALTH_STATE_DOWN)
        assert down.parts[0].message == "The database doesn't answer."
        assert down.parts[0].since_time.ToDatetime() > before.parts[0].since_time.ToDatetime()
        away.clear()
        back = await until(address, pb.HEALTH_STATE_UP)
        assert back.parts[0].since_time.ToDatetime() > down.parts[0].since_time.ToDatetime()


async def test_for_services_alone(tokens: Tokens) -> None:
    """Nobody but a service asks a service how its parts are."""
    async with _serving(tokens, _Accounts()) as address:  # type: ignore[abstract]  # the rest isn't called
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await _ask(address, tokens.administrator())
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
