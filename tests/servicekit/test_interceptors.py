"""Errors on the wire: code, reason, details; and nothing of what is inside."""

from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy.exc import OperationalError

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from servicekit.errors import InvalidRequest, ServiceError, Violation
from servicekit.identity import caller
from tests.support.errors import refused
from tests.support.servers import serving
from tests.support.tokens import Tokens

_SERVICE = "mirage.auth.v1.AccountService"


class _Gone(ServiceError):
    code, reason = grpc.StatusCode.NOT_FOUND, "THING_NOT_FOUND"


class _Raising(account_pb2_grpc.AccountServiceServicer):
    """Raises what the test wants."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def GetMe(self, request: object, context: object) -> account_pb2.User:
        raise self.error


class _Echoing(account_pb2_grpc.AccountServiceServicer):
    async def GetMe(self, request: object, context: object) -> account_pb2.User:
        return account_pb2.User(user_id=str(caller().user_id), role=caller().role)


async def _status(error: Exception, tokens: Tokens) -> tuple[grpc.StatusCode, str, dict[str, object]]:
    def register(server: grpc.aio.Server) -> None:
        account_pb2_grpc.add_AccountServiceServicer_to_server(_Raising(error), server)  # type: ignore[abstract]  # the rest isn't called

    async with serving([_SERVICE], register, tokens.verifier) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetMe(account_pb2.GetMeRequest(), metadata=(("authorization", f"Bearer {tokens.user()}"),))
    status = rpc_status.from_call(raised.value)
    assert status is not None
    details: dict[str, object] = {}
    for packed in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
            detail = kind()
            if packed.Unpack(detail):
                details[kind.DESCRIPTOR.name] = detail
    return raised.value.code(), raised.value.details() or "", details


async def test_service_error(tokens: Tokens) -> None:
    """A service's own error arrives with its code, text, reason, domain and metadata."""
    code, text, details = await _status(_Gone("No such thing.", thing_id="7"), tokens)
    info = details["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (code, text) == (grpc.StatusCode.NOT_FOUND, "No such thing.")
    assert (info.reason, info.domain, info.metadata["thing_id"]) == ("THING_NOT_FOUND", "mirage", "7")
    assert set(info.metadata) == {"thing_id", "request_id", "trace_id"}


async def test_every_violation_is_named(tokens: Tokens) -> None:
    """All wrong fields arrive at once."""
    error = InvalidRequest([Violation("epochs", "must be at least 1"), Violation("seed", "must be a number")])
    code, _, details = await _status(error, tokens)
    bad_request = details["BadRequest"]
    assert isinstance(bad_request, error_details_pb2.BadRequest)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in bad_request.field_violations] == ["epochs", "seed"]


async def test_too_many_violations_are_cut(tokens: Tokens) -> None:
    """Details stay within what HTTP/2 headers hold, and say how many violations are left out."""
    error = InvalidRequest([Violation(f"field_{index}", "is wrong " * 10) for index in range(500)])
    _, _, details = await _status(error, tokens)
    bad_request = details["BadRequest"]
    assert isinstance(bad_request, error_details_pb2.BadRequest)
    shown = len(bad_request.field_violations) - 1
    assert bad_request.ByteSize() < 3000
    assert bad_request.field_violations[-1].description == f"and {500 - shown} more wrong fields"


async def test_unknown_exception_tells_nothing(tokens: Tokens) -> None:
    """What nobody expected becomes INTERNAL with a fixed text; its own text stays inside."""
    code, text, details = await _status(ValueError("SELECT secret FROM /etc/passwd"), tokens)
    info = details["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (code, info.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in text


async def test_database_gone(tokens: Tokens) -> None:
    """A database that can't be reached is UNAVAILABLE, so that callers try again."""
    code, text, _ = await _status(OperationalError("SELECT 1", {}, OSError("refused at 10.1.2.3")), tokens)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "10.1.2.3" not in text


async def test_caller_is_known(tokens: Tokens) -> None:
    """An RPC knows who calls it, by the token alone."""
    user_id = "0190d6f0-0000-7000-8000-000000000001"

    def register(server: grpc.aio.Server) -> None:
        account_pb2_grpc.add_AccountServiceServicer_to_server(_Echoing(), server)  # type: ignore[abstract]  # the rest isn't called

    async with serving([_SERVICE], register, tokens.verifier) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        headers = (("authorization", f"Bearer {tokens.administrator(user_id)}"), ("x-user-id", "somebody else"))
        me = await stub.GetMe(account_pb2.GetMeRequest(), metadata=headers)
    assert (me.user_id, me.role) == (user_id, "administrator")


def _nested(levels: int) -> bytes:
    """Preferences with lists in lists, on the wire."""
    content = b"\x08\x00"  # Value.null_value
    for _ in range(levels):
        content = _field(6, _field(1, content))  # Value.list_value, ListValue.values
    number = account_pb2.UpdateProfileRequest.DESCRIPTOR.fields_by_name["preferences"].number
    return _field(number, _field(1, _field(1, b"a") + _field(2, content)))  # Struct.fields: an entry's key and value


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes on the wire."""
    length, size = b"", len(content)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


async def test_unreadable_messages(tokens: Tokens) -> None:
    """Bytes that are no such message, texts that aren't UTF-8 and bottomless nesting are the caller's fault."""

    def register(server: grpc.aio.Server) -> None:
        account_pb2_grpc.add_AccountServiceServicer_to_server(_Echoing(), server)  # type: ignore[abstract]  # the rest isn't called

    async with serving([_SERVICE], register, tokens.verifier) as channel:
        for path, content in (
            ("GetMe", b"\xff\xff"),
            ("UpdateMe", b"\x0a\x02\xff\xfe"),
            ("UpdateProfile", _nested(200)),
        ):
            call: Any = channel.unary_unary(f"/{_SERVICE}/{path}")
            async with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
                await call(content, metadata=(("authorization", f"Bearer {tokens.user()}"),))
            assert set(refusal.violations) == {"request"}
