"""Requests that the gateway found faults in: judged by the RPCs that tell faults of form, carried out by none."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import grpc.aio
import pytest
from sqlalchemy import text

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from servicekit.database import Database
from servicekit.errors import InvalidRequest, ServiceError, Violation
from servicekit.form_faults import HEADER, conclude, joined
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.servers import serving
from tests.support.tokens import Tokens

_SERVICE = "mirage.auth.v1.AccountService"
_FAULTS = [["nmae", "is not known here; did you mean name?"], ["locale", "must be a string"]]


class _Acting(account_pb2_grpc.AccountServiceServicer):
    """Judges as a test says, and then does something."""

    def __init__(self) -> None:
        self.error: ServiceError | None = None
        self.concludes = True
        self.acted = 0

    async def UpdateProfile(self, request: object, context: object) -> account_pb2.Profile:
        if self.error:
            raise self.error
        if self.concludes:
            conclude()
        self.acted += 1
        return account_pb2.Profile()

    async def GetProfile(self, request: object, context: object) -> account_pb2.Profile:
        self.acted += 1
        return account_pb2.Profile()


@pytest.fixture
def acting() -> _Acting:
    return _Acting()  # type: ignore[abstract]  # the rest isn't called


@pytest.fixture
async def stub(acting: _Acting, tokens: Tokens) -> "AsyncIterator[account_pb2_grpc.AccountServiceAsyncStub]":
    def register(server: grpc.aio.Server) -> None:
        account_pb2_grpc.add_AccountServiceServicer_to_server(acting, server)

    async with serving([_SERVICE], register, tokens.verifier) as channel:
        yield account_pb2_grpc.AccountServiceStub(channel)


def _headers(tokens: Tokens, faults: Any = _FAULTS) -> tuple[tuple[str, str], ...]:
    return ("authorization", f"Bearer {tokens.user()}"), (HEADER, quote(json.dumps(faults)))


async def test_everything_at_once(
    stub: "account_pb2_grpc.AccountServiceAsyncStub", acting: _Acting, tokens: Tokens
) -> None:
    """The gateway's faults come first, then the service's; what was taken out is not said to be missing as well."""
    acting.error = InvalidRequest(
        [Violation("locale", "is required"), Violation("locale.x", "is odd"), Violation("age", "must be a number")]
    )
    async with refused("INVALID_REQUEST") as refusal:
        await stub.UpdateProfile(account_pb2.UpdateProfileRequest(), metadata=_headers(tokens))
    assert list(refusal.violations.items()) == [*map(tuple, _FAULTS), ("age", "must be a number")]


async def test_nothing_is_carried_out(
    stub: "account_pb2_grpc.AccountServiceAsyncStub", acting: _Acting, tokens: Tokens
) -> None:
    """Where the service finds nothing, the request is refused all the same before it is carried out."""
    async with refused("INVALID_REQUEST") as refusal:
        await stub.UpdateProfile(account_pb2.UpdateProfileRequest(), metadata=_headers(tokens))
    assert set(refusal.violations) == {"nmae", "locale"}
    assert acting.acted == 0
    await stub.UpdateProfile(account_pb2.UpdateProfileRequest(), metadata=_headers(tokens)[:1])
    assert acting.acted == 1  # and the next request is as any other


async def test_other_errors_give_way(
    stub: "account_pb2_grpc.AccountServiceAsyncStub", acting: _Acting, tokens: Tokens
) -> None:
    """Whatever else stands against the request, its faults are told; but who may not call is told that."""
    acting.error = ServiceError("Something else.")
    async with refused("INVALID_REQUEST") as refusal:
        await stub.UpdateProfile(account_pb2.UpdateProfileRequest(), metadata=_headers(tokens))
    assert set(refusal.violations) == {"nmae", "locale"}
    async with refused("UNAUTHENTICATED"):
        await stub.UpdateProfile(account_pb2.UpdateProfileRequest(), metadata=_headers(tokens)[1:])


@pytest.mark.parametrize("faults", [_FAULTS, "nonsense", [1], [["a"]], {}], ids=str)
async def test_other_rpcs_never_begin(
    stub: "account_pb2_grpc.AccountServiceAsyncStub", acting: _Acting, tokens: Tokens, faults: Any
) -> None:
    """An RPC whose contract doesn't say that it tells faults of form refuses at once, whatever the header holds."""
    async with refused("INVALID_REQUEST"):
        await stub.GetProfile(account_pb2.GetProfileRequest(), metadata=_headers(tokens, faults))
    assert acting.acted == 0


def test_nothing_is_committed(postgres: PostgresForTests) -> None:
    """A use case that forgot to conclude changes nothing in the database either."""

    async def write() -> int | None:
        database = Database(postgres.database_url("auth"))
        try:
            with suppress(InvalidRequest), joined({HEADER: quote(json.dumps(_FAULTS))}, are_told=True):
                async with database.sessions.begin() as session:
                    await session.execute(text("CREATE TABLE written (id int)"))
            async with database.sessions.begin() as session:
                found: int | None = await session.scalar(text("SELECT 1 FROM pg_tables WHERE tablename = 'written'"))
                return found
        finally:
            await database.close()

    assert asyncio.run(write()) is None
