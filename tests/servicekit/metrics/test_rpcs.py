"""Every call counts once, by its RPC and its code, whatever becomes of it; no request can make a label of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import free_port
from mirage.auth.v1 import account_pb2, account_pb2_grpc, revocation_pb2, revocation_pb2_grpc
from servicekit.errors import ServiceError
from servicekit.server import Application, running
from servicekit.settings import ServiceSettings
from tests.support.servers import NO_DATABASE
from tests.support.tokens import Tokens

_NAMES = ("mirage.auth.v1.AccountService", "mirage.auth.v1.RevocationService")
_GET_ME = {"grpc_type": "unary", "grpc_service": _NAMES[0], "grpc_method": "GetMe"}
_WATCH = {"grpc_type": "server_stream", "grpc_service": _NAMES[1], "grpc_method": "WatchRevocations"}


class _Gone(ServiceError):
    code, reason = grpc.StatusCode.NOT_FOUND, "THING_NOT_FOUND"


class _Accounts(account_pb2_grpc.AccountServiceServicer):
    def __init__(self) -> None:
        self.entered, self.released = asyncio.Event(), asyncio.Event()

    async def GetMe(self, request: object, context: object) -> account_pb2.User:
        return account_pb2.User()

    async def GetProfile(self, request: object, context: object) -> account_pb2.Profile:
        raise _Gone("No such thing.")

    async def UpdateMe(self, request: object, context: object) -> account_pb2.User:
        self.entered.set()
        await self.released.wait()
        return account_pb2.User()


class _Revocations(revocation_pb2_grpc.RevocationServiceServicer):
    async def WatchRevocations(self, request: object, context: object) -> AsyncIterator[revocation_pb2.RevocationBatch]:
        for _ in range(3):
            yield revocation_pb2.RevocationBatch()
        await asyncio.Event().wait()


class Served:
    """A server with its metrics."""

    def __init__(self, channel: grpc.aio.Channel, url: str, accounts: _Accounts, tokens: Tokens) -> None:
        self.channel = channel
        self.url = url
        self.accounts = accounts
        self.stub = account_pb2_grpc.AccountServiceStub(channel)
        self.as_user = (("authorization", f"Bearer {tokens.user()}"),)
        self.as_service = (("authorization", f"Bearer {tokens.service('generation')}"),)

    async def values(self, name: str, **labels: str) -> list[float]:
        """The values of all series of this name that have these labels."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(self.url)).raise_for_status().text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        assert samples
        return [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]

    async def value(self, name: str, **labels: str) -> float:
        """The sum of these."""
        return sum(await self.values(name, **labels))

    async def until(self, wanted: float, name: str, **labels: str) -> None:
        """Waits until the sum is this."""
        async with asyncio.timeout(10):
            while await self.value(name, **labels) != wanted:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.01)


@asynccontextmanager
async def served(tokens: Tokens, **settings: bool) -> AsyncIterator[Served]:
    """Serves some RPCs, and tells what it measures of them."""
    accounts, port = _Accounts(), free_port()  # type: ignore[abstract]  # the rest isn't called

    @asynccontextmanager
    async def application() -> AsyncIterator[Application]:
        def register(server: grpc.aio.Server) -> None:
            account_pb2_grpc.add_AccountServiceServicer_to_server(accounts, server)
            revocation_pb2_grpc.add_RevocationServiceServicer_to_server(_Revocations(), server)

        yield Application(_NAMES, register, tokens.verifier)

    own = ServiceSettings(
        database_url=NO_DATABASE, shutdown_grace_seconds=0, metrics_port=port, **settings  # type: ignore[arg-type]
    )  # fmt: skip
    async with running(own, application()) as address, grpc.aio.insecure_channel(address) as channel:
        yield Served(channel, f"http://127.0.0.1:{port}/metrics", accounts, tokens)


async def test_calls_by_code(tokens: Tokens) -> None:
    """A call that succeeds, one that fails and one that is refused each count under their own code, with a duration."""
    async with served(tokens) as server:
        assert await server.values("grpc_server_handled_total", **_GET_ME, grpc_code="OK") == [
            0.0
        ]  # there before the first call
        await server.stub.GetMe(account_pb2.GetMeRequest(), metadata=server.as_user)
        with pytest.raises(grpc.aio.AioRpcError):
            await server.stub.GetMe(account_pb2.GetMeRequest())
        with pytest.raises(grpc.aio.AioRpcError):
            await server.stub.GetProfile(account_pb2.GetProfileRequest(), metadata=server.as_user)
        assert await server.value("grpc_server_handled_total", **_GET_ME, grpc_code="OK") == 1
        assert await server.value("grpc_server_handled_total", **_GET_ME, grpc_code="UNAUTHENTICATED") == 1
        assert await server.value("grpc_server_handled_total", grpc_method="GetProfile", grpc_code="NOT_FOUND") == 1
        assert await server.value("grpc_server_started_total", **_GET_ME) == 2
        assert await server.value("grpc_server_handling_seconds_count", **_GET_ME) == 2
        assert await server.value("grpc_server_in_flight", **_GET_ME) == 0


async def test_open_streams(tokens: Tokens) -> None:
    """An open stream is one in flight and counts its messages; it has no duration; given up, it ends CANCELLED."""
    async with served(tokens) as server:
        stub = revocation_pb2_grpc.RevocationServiceStub(server.channel)
        call = stub.WatchRevocations(revocation_pb2.WatchRevocationsRequest(), metadata=server.as_service)
        for _ in range(3):
            await call.read()
        assert await server.value("grpc_server_in_flight", **_WATCH) == 1
        assert await server.value("grpc_server_msg_sent_total", **_WATCH) == 3
        call.cancel()
        await server.until(0, "grpc_server_in_flight", **_WATCH)
        assert await server.value("grpc_server_handled_total", **_WATCH, grpc_code="CANCELLED") == 1
        assert await server.values("grpc_server_handling_seconds_count", **_WATCH) == []


async def test_call_out_of_time(tokens: Tokens) -> None:
    """A call whose time is over counts as that, not as one that somebody has called off."""
    async with served(tokens) as server:
        with pytest.raises(grpc.aio.AioRpcError):
            await server.stub.UpdateMe(account_pb2.UpdateMeRequest(), metadata=server.as_user, timeout=0.05)
        await server.until(0, "grpc_server_in_flight", grpc_method="UpdateMe")
        ended = await server.value("grpc_server_handled_total", grpc_method="UpdateMe", grpc_code="DEADLINE_EXCEEDED")
        started = await server.value("grpc_server_started_total", grpc_method="UpdateMe")
        assert ended == started  # 0 each where the time was over before it came here


async def test_in_flight(tokens: Tokens) -> None:
    """A call that is being served is in flight, and no more when it is done."""
    async with served(tokens) as server:
        call = server.stub.UpdateMe(account_pb2.UpdateMeRequest(), metadata=server.as_user)
        await server.accounts.entered.wait()
        assert await server.value("grpc_server_in_flight", grpc_method="UpdateMe") == 1
        server.accounts.released.set()
        await call
        assert await server.value("grpc_server_in_flight", grpc_method="UpdateMe") == 0


async def test_invented_names_make_no_labels(tokens: Tokens) -> None:
    """Calls of RPCs that there aren't share one label, however many names somebody invents."""
    async with served(tokens) as server:
        before = len(await server.values("grpc_server_started_total"))
        for number in range(5):
            invented: Any = server.channel.unary_unary(f"/mirage.auth.v1.AccountService/Invented{number}")
            with pytest.raises(grpc.aio.AioRpcError):
                await invented(b"")
        assert await server.values("grpc_server_handled_total", grpc_method="unknown") == [5.0]
        assert len(await server.values("grpc_server_started_total")) == before + 1


async def test_switched_off(tokens: Tokens) -> None:
    """With METRICS_ENABLED=false nothing listens, no thread runs, and calls aren't measured."""
    threads = set(threading.enumerate())
    async with served(tokens, metrics_enabled=False) as server:
        await server.stub.GetMe(account_pb2.GetMeRequest(), metadata=server.as_user)
        with pytest.raises(httpx.ConnectError):
            await server.value("grpc_server_started_total")
        assert not [each for each in set(threading.enumerate()) - threads if "serve_forever" in each.name]
