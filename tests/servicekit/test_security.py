"""Security events: each has its name, whom it concerns and where it came from, and nothing that could be misused."""

from typing import Any

import grpc
import grpc.aio
import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from mirage.auth.v1 import account_pb2, account_pb2_grpc, administration_pb2, administration_pb2_grpc
from servicekit.security import SecurityEvent
from tests.support import contracts
from tests.support.servers import serving
from tests.support.tokens import Tokens

VIA = (("x-forwarded-for", "203.0.113.7"), ("x-request-id", "r-1"))


async def events_of(tokens: Tokens, token: str) -> list[dict[str, Any]]:
    """The security events of two calls with a token: a user's and an administrator's."""
    names = ["mirage.auth.v1.AccountService", "mirage.auth.v1.AdministrationService"]

    def register(server: grpc.aio.Server) -> None:
        for service in contracts.services():
            if service.full_name in names:
                server.add_generic_rpc_handlers((contracts.answering_nothing(service),))

    metadata = (("authorization", f"Bearer {token}"), *VIA)
    async with serving(names, register, tokens.verifier) as channel:
        with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logged:
            for call in (
                account_pb2_grpc.AccountServiceStub(channel).GetMe(account_pb2.GetMeRequest(), metadata=metadata),
                administration_pb2_grpc.AdministrationServiceStub(channel).ListUsers(
                    administration_pb2.ListUsersRequest(), metadata=metadata
                ),
            ):
                await call.code()  # ends the call, however it ends
    found = [dict(entry) for entry in logged if entry.get("security")]
    assert all((entry["client_address"], entry["request_id"]) == ("203.0.113.7", "r-1") for entry in found)
    assert token not in str(logged)
    return found


@pytest.mark.parametrize(
    ("forge", "cause"),
    [
        (lambda tokens: tokens.user(aud="another"), "audience"),
        (lambda tokens: tokens.user(iss="another"), "issuer"),
        (lambda tokens: tokens.user(nbf=100_000_000_000), "not yet valid"),
        (lambda tokens: tokens.user(iat=100_000_000_000), "not yet valid"),
        (lambda tokens: tokens.user(jti=None), "missing claim"),
        (lambda tokens: tokens.user()[:-8] + "AAAAAAAA", "signature"),
        (lambda _tokens: Tokens().user(), "unknown key"),
        (lambda tokens: jwt.encode({}, "0" * 32, "HS256", {"kid": tokens.key_id}), "algorithm"),
        (
            lambda tokens: jwt.encode({}, ec.generate_private_key(ec.SECP256R1()), "ES256", {"kid": tokens.key_id}),
            "signature",
        ),
        (lambda _tokens: "a.b.c", "malformed"),
    ],
)
async def test_forged_tokens(tokens: Tokens, forge: Any, cause: str) -> None:
    """A forged token is reported, with what is wrong with it."""
    found = await events_of(tokens, forge(tokens))
    assert [(entry["event"], entry["cause"]) for entry in found] == [(SecurityEvent.TOKEN_FORGED, cause)] * 2


async def test_denied_roles(tokens: Tokens) -> None:
    """Who calls what isn't for them is reported by id, with the call."""
    user_id = "01990000-0000-7000-8000-000000000000"
    (found,) = await events_of(tokens, tokens.user(user_id))
    assert (found["event"], found["subject"], found["role"]) == ("role_denied", user_id, "user")
    assert found["method"] == "/mirage.auth.v1.AdministrationService/ListUsers"


async def test_what_is_no_event(tokens: Tokens) -> None:
    """An expired token is everyday life, and so is a call that is let in."""
    assert await events_of(tokens, tokens.user(exp=1_000_000_000)) == []
    assert await events_of(tokens, tokens.administrator()) == []
