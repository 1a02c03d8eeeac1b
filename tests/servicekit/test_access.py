"""Permission: what each RPC's contract says is what its server does."""

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import ServiceDescriptor

from mirage.options.v1 import access_pb2
from servicekit.access import AccessRules, Role
from services.auth.scopes import SCOPES
from tests.support import contracts
from tests.support.errors import refused
from tests.support.servers import serving
from tests.support.tokens import Tokens

_HOLDERS = {
    access_pb2.ROLE_ANYONE: {"nobody", "user", "administrator", "service"},
    access_pb2.ROLE_USER: {"user", "administrator"},
    access_pb2.ROLE_ADMINISTRATOR: {"administrator"},
    access_pb2.ROLE_SERVICE: {"service"},
}


# Beyond what any API key may do.
_FOR_A_REAL_SIGN_IN = {
    "/mirage.auth.v1.AccountService/DeleteAccount",
    "/mirage.auth.v1.AccountService/ExportAccount",
}

SPOOFED = (
    ("x-user-id", "01990000-0000-7000-8000-000000000000"),
    ("x-user-role", "administrator"),
    ("x-user-roles", "administrator,service"),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-envoy-internal", "true"),
    ("x-envoy-peer-metadata-id", "gateway"),
    ("x-jwt-payload", "eyJyb2xlIjoiYWRtaW5pc3RyYXRvciJ9"),
    ("x-raw-body", "1"),
)


def test_every_rpc_declares_its_roles() -> None:
    """No contract leaves open who may call an RPC."""
    silent = [
        contracts.path_of(method)
        for method in contracts.methods()
        if not method.GetOptions().Extensions[access_pb2.access].roles
    ]
    assert silent == []


def test_only_people_reach_what_has_a_route() -> None:
    """What is for services alone has no HTTP route, and what has one is for people."""
    from google.api import annotations_pb2

    for method in contracts.methods():
        options = method.GetOptions()
        routed = options.HasExtension(annotations_pb2.http)
        for_services = access_pb2.ROLE_SERVICE in options.Extensions[access_pb2.access].roles
        assert not (routed and for_services), contracts.path_of(method)


@pytest.mark.parametrize("service", contracts.services(), ids=lambda service: service.full_name)
async def test_every_rpc_with_every_role(service: ServiceDescriptor, tokens: Tokens) -> None:
    """Every RPC, unary or streaming, lets in exactly those whom its contract names, and says why it refuses."""
    callers = {
        "nobody": "",
        "user": tokens.user(),
        "administrator": tokens.administrator(),
        "service": tokens.service("dataset"),
    }

    def register(server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((contracts.answering_nothing(service),))

    async with serving([service.full_name], register, tokens.verifier) as channel:
        for method in service.methods:
            roles = method.GetOptions().Extensions[access_pb2.access].roles
            welcome = set().union(*(_HOLDERS[role] for role in roles))
            call = contracts.call_of(channel, method)
            for name, token in callers.items():
                if name in welcome:
                    await call(token)
                    continue
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await call(token)
                expected = grpc.StatusCode.PERMISSION_DENIED if token else grpc.StatusCode.UNAUTHENTICATED
                assert error.value.code() is expected, (contracts.path_of(method), name)
            if "nobody" not in welcome:  # whoever reaches the port can say anything of themselves
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await call("", SPOOFED)
                assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED, contracts.path_of(method)


def test_unknown_rpc_is_refused() -> None:
    """An RPC that no contract names is for nobody."""
    rules = AccessRules([])
    assert not any(rules.may_call("/mirage.auth.v1.AccountService/GetMe", role) for role in (None, *Role))


def test_every_rpc_for_people_declares_its_scopes() -> None:
    """Whatever a person may call names scopes that exist; each scope is good for something; nothing else has any."""
    named: set[str] = set()
    for method in contracts.methods():
        access = method.GetOptions().Extensions[access_pb2.access]
        for_people = {access_pb2.ROLE_USER, access_pb2.ROLE_ADMINISTRATOR} & set(access.roles)
        is_scoped = bool(for_people) and contracts.path_of(method) not in _FOR_A_REAL_SIGN_IN
        assert bool(access.scopes) == is_scoped, contracts.path_of(method)
        named.update(access.scopes)
    assert named == SCOPES.keys()


@pytest.mark.parametrize("service", contracts.services(), ids=lambda service: service.full_name)
async def test_every_rpc_with_every_scope(service: ServiceDescriptor, tokens: Tokens) -> None:
    """A token with one scope may call exactly the RPCs that name it; with several, what any of them allows."""

    def register(server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((contracts.answering_nothing(service),))

    limits = [*SCOPES, "account:read admin:read", "", "datasets", "DATASETS:READ"]
    holders = {limit: tokens.administrator(scope=limit) for limit in limits}
    async with serving([service.full_name], register, tokens.verifier) as channel:
        for method in service.methods:
            access = method.GetOptions().Extensions[access_pb2.access]
            if not {access_pb2.ROLE_USER, access_pb2.ROLE_ADMINISTRATOR} & set(access.roles):
                continue
            call = contracts.call_of(channel, method)
            for limit, token in holders.items():
                if set(limit.split()) & set(access.scopes):
                    await call(token)
                    continue
                async with refused("INSUFFICIENT_SCOPE", grpc.StatusCode.PERMISSION_DENIED) as refusal:
                    await call(token)
                assert refusal.metadata == {"scope": " ".join(access.scopes)}, contracts.path_of(method)


async def test_a_scope_is_no_role(tokens: Tokens) -> None:
    """A scope for administrators makes nobody one, and what is no text makes a token nobody's."""
    service = next(each for each in contracts.services() if each.name == "AdministrationService")

    def register(server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((contracts.answering_nothing(service),))

    async with serving([service.full_name], register, tokens.verifier) as channel:
        call = contracts.call_of(channel, service.methods_by_name["ListUsers"])
        async with refused("PERMISSION_DENIED"):
            await call(tokens.user(scope="admin:read"))
        async with refused("UNAUTHENTICATED"):
            await call(tokens.administrator(scope=["admin:read"]))
