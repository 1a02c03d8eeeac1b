"""What another service's errors come to here."""

import grpc
import grpc.aio
import pytest
from sqlalchemy.exc import OperationalError

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from servicekit.clients import PeerError, peer_error
from servicekit.errors import ServiceError, Unavailable
from tests.support.servers import serving
from tests.support.tokens import Tokens


class _Busy(ServiceError):
    code, reason = grpc.StatusCode.UNAVAILABLE, "STILL_READING"


class _Raising(account_pb2_grpc.AccountServiceServicer):
    """Raises what the test wants."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def GetMe(self, request: object, context: object) -> account_pb2.User:
        raise self.error


async def _told(error: Exception, tokens: Tokens) -> Exception:
    """What a caller makes of an error that another service raises."""

    def register(server: grpc.aio.Server) -> None:
        account_pb2_grpc.add_AccountServiceServicer_to_server(_Raising(error), server)  # type: ignore[abstract]  # the rest isn't called

    async with serving(["mirage.auth.v1.AccountService"], register, tokens.verifier) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetMe(account_pb2.GetMeRequest(), metadata=(("authorization", f"Bearer {tokens.user()}"),))
    return peer_error(raised.value, "auth service")


async def test_a_peer_without_its_database(tokens: Tokens) -> None:
    """A service that can't reach its database is waited for like one that can't be reached itself."""
    told = await _told(OperationalError("SELECT 1", {}, OSError("no route")), tokens)
    assert isinstance(told, Unavailable)
    assert "The database can't be reached" in told.message


async def test_a_peer_that_says_why(tokens: Tokens) -> None:
    """What a service has to say is passed on as it is, also where trying again may help."""
    told = await _told(_Busy("Not yet."), tokens)
    assert isinstance(told, PeerError)
    assert (told.code, told.reason, told.message) == (grpc.StatusCode.UNAVAILABLE, "STILL_READING", "Not yet.")
