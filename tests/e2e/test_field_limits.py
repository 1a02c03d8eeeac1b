"""Limits of requests' fields, each as its contract names it: told with all else by the gateway, and by the service."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import MessageToDict

from gateway.contracts import Binding, Rpc, read_descriptor_set, routed_rpcs
from mirage import Client
from mirage.options.v1 import access_pb2, limits_pb2
from mirage.options.v1.limits_pb2 import Limits
from servicekit.limits import limits_of
from tests.e2e.conftest import PASSWORD, Furnished
from tests.support import contracts
from tests.support.errors import Refusal
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

ROUTES: Mapping[str, Rpc] = {rpc.path: rpc for rpc in routed_rpcs(read_descriptor_set()) if rpc.bindings}
ILL_WRITTEN = {
    limits_pb2.TEXT_FORMAT_WITHOUT_NULL: "a\0b",
    limits_pb2.TEXT_FORMAT_ONE_LINE: "a\nb",
    limits_pb2.TEXT_FORMAT_EMAIL: "nobody",
    limits_pb2.TEXT_FORMAT_ID: "7",
    limits_pb2.TEXT_FORMAT_LANGUAGE_TAG: "en GB",
    limits_pb2.TEXT_FORMAT_SHA256: "f" * 63,
}
# Wherever nothing else may stand.
ANYTHING = {"dataset_id": "d", "email": "ada@example.org", "stream": "/generation/watch/x"}


@dataclass(frozen=True)
class Case:
    """A field of a request, set to something that its limits rule out; None leaves it out."""

    method: MethodDescriptor
    path: tuple[FieldDescriptor, ...]  # from the request to the field, through messages
    value: Any

    @property
    def items(self) -> list[Any]:
        """The items of a list that the field is set to."""
        if self.value is None or isinstance(self.value, list):
            return self.value or []
        return [self.value]

    def request(self, ids: Mapping[str, str]) -> Any:
        """The request with this field, and with ids of what is there where something must be named."""
        request: Any = message_factory.GetMessageClass(self.method.input_type)()
        names = {field.name for field in self.method.input_type.fields} & ids.keys()
        for name in names - {self.path[0].name}:
            setattr(request, name, ids[name])
        place = request
        for field in self.path[:-1]:
            place = getattr(place, field.name).add() if field.is_repeated else getattr(place, field.name)
        place.SetInParent()
        field = self.path[-1]
        if field.is_repeated:
            place.ClearField(field.name)
            items = getattr(place, field.name)
            if field.message_type:
                for _ in self.items:
                    items.add()
            else:
                items.extend(self.items)
        elif self.value is None:
            place.ClearField(field.name)
        else:
            setattr(place, field.name, self.value)
        return request

    def name(self, *, below: str = "") -> str:
        """How violations name the field, in a request or in one part of it."""
        steps = [field.name + (".0" if field.is_repeated else "") for field in self.path]
        if self.path[-1].is_repeated and (self.value is None or isinstance(self.value, list)):
            steps[-1] = self.path[-1].name
        return ".".join(steps).removeprefix(f"{below}." if below else "")


def _wrong_values(field: FieldDescriptor) -> Iterator[Any]:
    """Of a list a wrong item, or a list that is too long."""
    limits = limits_of(field)
    if limits is None:
        return
    if limits.maximum_items:
        is_id = limits.format == limits_pb2.TEXT_FORMAT_ID
        yield [str(uuid4()) if is_id else str(index) for index in range(limits.maximum_items + 1)]
    if limits.required:
        yield None
    # 0 is the same as nothing where the field isn't optional.
    if limits.HasField("minimum") and (field.has_presence or limits.minimum != 1):
        yield type(field.default_value)(limits.minimum - 1)
    if limits.HasField("maximum"):
        yield type(field.default_value)(limits.maximum + 1)
    if limits.choices:
        yield "nonsense"
    if limits.format:
        yield ILL_WRITTEN[limits.format]
    yield from _wrong_lengths(field, limits)


def _wrong_lengths(field: FieldDescriptor, limits: Limits) -> Iterator[str]:
    if limits.minimum_length and field.has_presence:
        yield ""
    if limits.minimum_length > 1:
        yield "é" * (limits.minimum_length - 1)
    if limits.maximum_length:
        yield "é" * (limits.maximum_length + 1)
    if limits.trimmed and (limits.required or limits.minimum_length):
        yield " \N{EM SPACE}"


def _cases(method: MethodDescriptor) -> Iterator[Case]:
    def walk(message: Descriptor, path: tuple[FieldDescriptor, ...]) -> Iterator[Case]:
        for field in message.fields:
            yield from (Case(method, (*path, field), value) for value in _wrong_values(field))
            if field.message_type and field.message_type.full_name.startswith("mirage."):
                yield from walk(field.message_type, (*path, field))

    yield from walk(method.input_type, ())


CASES = [case for method in contracts.methods() if contracts.path_of(method) in ROUTES for case in _cases(method)]


@dataclass(frozen=True)
class Target:
    """A running platform, somebody's things on it, and tokens by role."""

    platform: PlatformForTests
    ids: Mapping[str, str]
    tokens: Mapping[int, str]

    def token(self, method: MethodDescriptor) -> str:
        """A token with which an RPC may be called."""
        roles = method.GetOptions().Extensions[access_pb2.access].roles
        return next(self.tokens[role] for role in roles if role in self.tokens)


@pytest.fixture(scope="module")
def target(platform: PlatformForTests, furnished: Furnished) -> Iterator[Target]:
    """Somebody with one of everything, and an administrator."""
    administrator = f"{uuid4().hex}@example.org"
    secret = platform.make_administrator(administrator)

    def login(email: str, password: str) -> str:
        answer = httpx.post(f"{platform.url}/auth/login", json={"email": email, "password": password})
        token: str = answer.json()["data"]["access_token"]
        return token

    with Client(platform.url).login(furnished.email, PASSWORD) as client:
        tokens: dict[int, str] = {
            access_pb2.ROLE_ANYONE: "",
            access_pb2.ROLE_USER: login(furnished.email, PASSWORD),
            access_pb2.ROLE_ADMINISTRATOR: login(administrator, secret),
        }
        dataset = client.datasets.get(furnished.ids["dataset_id"])
        yield Target(platform, furnished.ids, tokens)
        assert client.datasets.get(dataset.id).name == dataset.name  # nothing of all that was taken


async def test_every_limit(target: Target) -> None:
    """What a limit rules out the gateway names beside an unknown field, and the service itself in the same words."""
    wrong = []
    services = {ROUTES[contracts.path_of(case.method)].upstream for case in CASES}
    channels = {name: grpc.aio.insecure_channel(target.platform.service_address(name)) for name in services}
    async with httpx.AsyncClient(base_url=target.platform.url, timeout=30) as client:
        for case in CASES:
            rpc = ROUTES[contracts.path_of(case.method)]
            told = [await _by_rest(client, case, rpc, binding, target) for binding in rpc.bindings]
            own = await _by_service(channels[rpc.upstream], case, target)
            if not own or not all(own.startswith(each or "nothing") for each in told):
                wrong.append(f"{rpc.title} {case.name()}={case.value!r:.40}: gateway {told}, service {own!r}")
    await asyncio.gather(*(channel.close() for channel in channels.values()))
    assert not wrong, "\n".join(wrong)
    assert len(CASES) > 80


async def _by_rest(client: httpx.AsyncClient, case: Case, rpc: Rpc, binding: Binding, target: Target) -> str | None:
    """What the gateway says of a field where there is an unknown one beside it; None for nothing."""
    document = MessageToDict(case.request({**ANYTHING, **target.ids}), preserving_proto_field_name=True)
    variables = {name: document.pop(name, "x") for name in binding.variables}
    url = binding.template.format(**variables)
    token = target.token(case.method)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if binding.body and not rpc.is_upload:
        content = document if binding.body == "*" else document[binding.body]
        answer = await client.request(binding.verb, url, json={**content, "nonsense": 1}, headers=headers)
    else:
        document.pop(binding.body, None)
        query = urlencode({**document, "nonsense": 1}, quote_via=quote)
        answer = await client.request(binding.verb, f"{url}?{query}", headers=headers, content=b"a\n1\n")
    details = answer.json()["error"]["details"]
    told = {each["field"]: each["description"] for each in details[1]["field_violations"]}
    assert answer.status_code == 400
    assert "nonsense" in told
    return told.get(case.name(below=binding.body))


async def _by_service(channel: grpc.aio.Channel, case: Case, target: Target) -> str | None:
    """What the service itself says of a field to a gRPC caller; None for nothing."""
    request: Any = case.request({**ANYTHING, **target.ids})
    if "body" in case.method.input_type.fields_by_name:
        request.body.content_type, request.body.data = "text/csv", b"a,b\n1,2\n"
    response = message_factory.GetMessageClass(case.method.output_type)
    is_sent, is_streamed = case.method.client_streaming, case.method.server_streaming
    kind = f"{'stream' if is_sent else 'unary'}_{'stream' if is_streamed else 'unary'}"
    stub: Any = getattr(channel, kind)(
        contracts.path_of(case.method),
        request_serializer=type(request).SerializeToString,
        response_deserializer=response.FromString,
    )
    token = target.token(case.method)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    call = stub(_once(request) if is_sent else request, metadata=metadata, timeout=30)
    try:
        answer: Any = [each async for each in call] if is_streamed else await call
    except grpc.aio.AioRpcError as error:
        refusal = Refusal()
        refusal.read(error)
        return refusal.violations.get(case.name())
    if case.method.name == "ValidateJob":  # whose answer is what would be said
        return {each.field: each.description for each in answer.violations}.get(case.name(below="request"))
    return None


async def _once(request: Any) -> AsyncIterator[Any]:
    yield request
