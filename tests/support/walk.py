"""Calls every RPC of a running service in every role: what the contract says is what the real server does."""

from collections.abc import Awaitable, Callable, Mapping

import grpc
import grpc.aio

from mirage.options.v1 import access_pb2
from tests.support import contracts
from tests.support.errors import Refusal

Token = Callable[[], Awaitable[str]]
"""Gives a fresh access token; "" for nobody."""

WELCOME: Mapping[int, frozenset[str]] = {
    access_pb2.ROLE_ANYONE: frozenset({"nobody", "user", "administrator", "service"}),
    access_pb2.ROLE_USER: frozenset({"user", "administrator"}),
    access_pb2.ROLE_ADMINISTRATOR: frozenset({"administrator"}),
    access_pb2.ROLE_SERVICE: frozenset({"service"}),
}
"""Who is meant by each role of a contract."""


async def walk(channel: grpc.aio.Channel, package: str, tokens: Mapping[str, Token]) -> list[str]:
    """Calls every RPC of a proto package, with an empty request, as each of `tokens`, whose keys are `nobody` or roles.

    Each has one token as long as it is good: a call such as signing out uses one up. Returns what went differently than
    the contract says, a line each; an error inside the service counts as well.
    """
    wrong = []
    held = {name: await token() for name, token in tokens.items()}
    for method in contracts.methods():
        if method.containing_service.file.package != package:
            continue
        call = contracts.call_of(channel, method)
        roles = method.GetOptions().Extensions[access_pb2.access].roles
        welcome = frozenset[str]().union(*(WELCOME[role] for role in roles))
        for name, token in tokens.items():
            refusal = "UNAUTHENTICATED" if name == "nobody" else "PERMISSION_DENIED"
            expected = "" if name in welcome else refusal
            met = await _refusal(call, held[name])
            if met in _USED_UP:
                held[name] = await token()
                met = await _refusal(call, held[name])
            if met != expected:
                wrong.append(f"{contracts.path_of(method)} as {name}: {met or 'let in'}, not {expected or 'let in'}")
    return wrong


async def walk_scopes(channel: grpc.aio.Channel, package: str, tokens: Mapping[str, str]) -> list[str]:
    """Calls every RPC of a proto package that is for people, with an empty request, with tokens limited to one scope.

    `tokens` are an administrator's, by their scope. Returns what went differently than the contract says, a line each.
    """
    wrong = []
    people = {access_pb2.ROLE_USER, access_pb2.ROLE_ADMINISTRATOR}
    for method in contracts.methods():
        access = method.GetOptions().Extensions[access_pb2.access]
        if method.containing_service.file.package != package or not people & set(access.roles):
            continue
        call = contracts.call_of(channel, method)
        for scope, token in tokens.items():
            expected = "" if scope in access.scopes else "INSUFFICIENT_SCOPE"
            met = await _refusal(call, token)
            if met != expected:
                wrong.append(f"{contracts.path_of(method)} with {scope}: {met or 'let in'}, not {expected or 'let in'}")
    return wrong


_USED_UP = ("SESSION_ENDED", "TOKEN_REVOKED")
_REFUSALS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "INSUFFICIENT_SCOPE", "INTERNAL", *_USED_UP)


async def _refusal(call: Callable[[str], Awaitable[None]], token: str) -> str:
    """Why the server didn't let a call in, or failed; empty if it answered, be it that the request is wrong."""
    try:
        await call(token)
    except grpc.aio.AioRpcError as error:
        refusal = Refusal()
        refusal.read(error)
        return refusal.reason if refusal.reason in _REFUSALS else ""
    return ""
