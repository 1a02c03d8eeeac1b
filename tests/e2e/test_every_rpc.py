"""Every RPC of the running platform, straight at the services' ports: its role, and whose things it touches."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from deploy.local.services import SERVICES
from mirage import Client
from mirage.auth.v1 import api_key_pb2, api_key_pb2_grpc, session_pb2, session_pb2_grpc, token_pb2, token_pb2_grpc
from mirage.options.v1 import access_pb2
from services.auth.scopes import SCOPES
from tests.e2e.conftest import PASSWORD, Furnished
from tests.support import contracts
from tests.support.errors import Refusal
from tests.support.platform import PlatformForTests
from tests.support.walk import walk, walk_scopes

pytestmark = pytest.mark.xdist_group("platform")

# Ids by which a request names something of its owner's.
OWNED = ("dataset_id", "job_id", "key_id", "model_id", "session_id", "study_id")


@dataclass(frozen=True)
class Owned:
    """Somebody's things, by the names that requests have for them."""

    ids: Mapping[str, str]


@pytest.fixture
def owned(platform: PlatformForTests, furnished: Furnished) -> Iterator[Owned]:
    """A dataset, a job with its table, a model, a study, a key and a session of one user."""
    with Client(platform.url).login(furnished.email, PASSWORD) as client:
        session = next(session for session in client.account.sessions() if session.current)
        key = client.account.create_api_key("a key", ["datasets:read"])
        before = _states(client, furnished)
        yield Owned({**furnished.ids, "key_id": key.id, "session_id": session.id})
        assert _states(client, furnished) == before  # nobody has deleted, cancelled or ended anything meanwhile
        assert key.id in {each.id for each in client.account.api_keys()}


def _states(client: Client, furnished: Furnished) -> list[str]:
    ids = furnished.ids
    return [
        client.datasets.get(ids["dataset_id"]).name,
        client.jobs.get(ids["job_id"]).state,
        client.models.get(ids["model_id"]).name,
        client.studies.get(ids["study_id"]).state,
    ]


async def test_every_rpc_in_every_role(platform: PlatformForTests) -> None:
    """With real tokens of nobody, a user, an administrator and a service, each RPC does what its contract says."""
    administrator = f"{uuid4().hex}@example.org"
    password = await asyncio.to_thread(platform.make_administrator, administrator)
    user = f"{uuid4().hex}@example.org"
    with Client(platform.url) as client:
        client.register(user, PASSWORD, "Ada")
    wrong = []
    async with grpc.aio.insecure_channel(platform.service_address("auth")) as auth:

        async def nobody() -> str:
            return ""

        async def service() -> str:
            client_id, secret = platform.service_identity("dataset")
            request = token_pb2.IssueServiceTokenRequest(client_id=client_id, client_secret=secret)
            return (await token_pb2_grpc.ServiceIdentityServiceStub(auth).IssueServiceToken(request)).access_token

        tokens = {
            "nobody": nobody,
            "user": lambda: _login(auth, user, PASSWORD),
            "administrator": lambda: _login(auth, administrator, password),
            "service": service,
        }
        for name in SERVICES:
            async with grpc.aio.insecure_channel(platform.service_address(name)) as channel:
                wrong += await walk(channel, f"mirage.{name}.v1", tokens)
                if name != "auth":  # which asks the others
                    wrong += await walk(channel, "mirage.holdings.v1", tokens)
                wrong += await walk(channel, "mirage.health.v1", tokens)  # which every service has
    assert wrong == []


async def test_every_rpc_with_every_scope(platform: PlatformForTests) -> None:
    """An API key with one scope is let in at exactly the RPCs that name it, at the port of every service."""
    email = f"{uuid4().hex}@example.org"
    password = await asyncio.to_thread(platform.make_administrator, email)
    with Client(platform.url).login(email, password) as client:
        keys = {scope: client.account.create_api_key(scope, [scope]).key or "" for scope in SCOPES}
    wrong = []
    async with grpc.aio.insecure_channel(platform.service_address("auth")) as auth:
        stub = api_key_pb2_grpc.ApiKeyServiceStub(auth)
        tokens = {
            scope: (await stub.ExchangeApiKey(api_key_pb2.ExchangeApiKeyRequest(api_key=key))).access_token
            for scope, key in keys.items()
        }
        for name in SERVICES:
            async with grpc.aio.insecure_channel(platform.service_address(name)) as channel:
                wrong += await walk_scopes(channel, f"mirage.{name}.v1", tokens)
    assert wrong == []


async def test_anothers_things_do_not_exist(platform: PlatformForTests, owned: Owned) -> None:
    """Whatever names somebody's thing is answered to another user, and to an administrator, as if there were none."""
    administrator = f"{uuid4().hex}@example.org"
    another = f"{uuid4().hex}@example.org"
    password = await asyncio.to_thread(platform.make_administrator, administrator)
    with Client(platform.url) as client:
        client.register(another, PASSWORD, "Eve")
    made_up = {name: str(uuid4()) for name in OWNED}
    tried, told = 0, []
    async with grpc.aio.insecure_channel(platform.service_address("auth")) as auth:
        for who, secret in ((another, PASSWORD), (administrator, password)):
            token = await _login(auth, who, secret)
            for name in SERVICES:
                async with grpc.aio.insecure_channel(platform.service_address(name)) as channel:
                    for method in _methods_on_ones_own(f"mirage.{name}.v1"):
                        tried += 1
                        somebodys = await _call(channel, method, owned.ids, token)
                        nobodys = await _call(channel, method, made_up, token)
                        if not somebodys or somebodys != nobodys:
                            told.append(f"{contracts.path_of(method)}: {somebodys or 'answered'}, not {nobodys}")
    assert told == []
    assert tried >= 2 * 20


def _methods_on_ones_own(package: str) -> list[MethodDescriptor]:
    """RPCs for every user whose request names something that has an owner."""
    return [
        method
        for method in contracts.methods()
        if method.containing_service.file.package == package
        and access_pb2.ROLE_USER in method.GetOptions().Extensions[access_pb2.access].roles
        and any(name in method.input_type.fields_by_name for name in OWNED)
        # In these an id is a filter, and nothing is what it finds.
        and method.name not in ("ListJobs", "ListModels", "ListStudies")
    ]


async def _call(channel: grpc.aio.Channel, method: MethodDescriptor, ids: Mapping[str, str], token: str) -> str:
    """Calls an RPC with ids; returns how it was refused, less the ids themselves, empty if it was answered.

    A refusal says that there is no such thing, or of several things each.
    """
    request_class = message_factory.GetMessageClass(method.input_type)
    response_class = message_factory.GetMessageClass(method.output_type)
    request: Any = request_class(**{name: ids[name] for name in OWNED if name in method.input_type.fields_by_name})
    if "model_config" in method.input_type.fields_by_name:
        request.model_config.update({"model_type": "gaussian_copula"})
    if "body" in method.input_type.fields_by_name:
        request.body.content_type, request.body.data = "text/csv", b"a,b\n1,2\n"
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    stub: Any = getattr(channel, kind)(
        contracts.path_of(method),
        request_serializer=request_class.SerializeToString,
        response_deserializer=response_class.FromString,
    )
    call = stub(
        _once(request) if method.client_streaming else request,
        metadata=(("authorization", f"Bearer {token}"),),
        timeout=30,
    )
    try:
        if method.server_streaming:
            async for _ in call:
                return ""
        else:
            await call
    except grpc.aio.AioRpcError as error:
        refusal = Refusal()
        refusal.read(error)
        told = f"{refusal.reason}: {refusal.message} {refusal.metadata} {refusal.violations}"
        assert all("does not exist" in words for words in refusal.violations.values() or [refusal.message]), told
        return reduce(lambda text, name: text.replace(ids[name], name), ids, told)
    return ""


async def _once(request: Any) -> AsyncIterator[Any]:
    yield request


async def _login(auth: grpc.aio.Channel, email: str, password: str) -> str:
    request = session_pb2.LoginRequest(email=email, password=password)
    return (await session_pb2_grpc.SessionServiceStub(auth).Login(request)).access_token
