"""What the gateway needs of the contracts: RPCs with their routes and roles, from the committed descriptor set."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2

from mirage.options.v1 import access_pb2, form_faults_pb2

DESCRIPTOR_SET = Path(__file__).with_name("descriptors.binpb")
RAW_BODY = ".google.api.HttpBody"

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_.]*)\}")
_VERBS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Binding:
    """One HTTP route of an RPC."""

    verb: str  # upper case
    template: str  # such as /datasets/{dataset_id}
    body: str  # the request's field that the body fills; `*` for all that the path doesn't; empty for none

    @property
    def variables(self) -> tuple[str, ...]:
        """Fields that the path fills, in order."""
        return tuple(_VARIABLE.findall(self.template))

    @cached_property
    def pattern(self) -> str:
        """A regular expression (RE2) for the paths of this route.

        Raises:
            ValueError: the template uses more than single-segment variables.
        """
        literals = _VARIABLE.split(self.template)[::2]
        if any(set(literal) & set("{}*:") for literal in literals):
            raise ValueError(f"{self.template}: only {{field}} variables are understood")
        return "[^/]+".join(re.escape(literal) for literal in literals)


@dataclass(frozen=True)
class Rpc:
    """One RPC that callers from outside can reach."""

    service: str  # full name, such as mirage.auth.v1.SessionService
    name: str
    upstream: str  # the service that has it, such as auth
    request: str  # full name of the request's message, with a leading dot
    response: str  # the same of the answer's
    streams_requests: bool
    streams_responses: bool
    takes_raw_body: bool  # the body reaches it as it is, in one piece, whatever its type
    roles: frozenset[int]
    scopes: tuple[str, ...]  # what a limited token needs one of
    tells_form_faults: bool  # whether it tells what the gateway finds wrong with a request, beside what it finds
    bindings: tuple[Binding, ...]

    @property
    def path(self) -> str:
        """Its path over gRPC."""
        return f"/{self.service}/{self.name}"

    @property
    def title(self) -> str:
        """Its short name, such as SessionService.Login."""
        return f"{self.service.rpartition('.')[2]}.{self.name}"

    @property
    def is_open(self) -> bool:
        """Whether it needs no token."""
        return access_pb2.ROLE_ANYONE in self.roles

    @property
    def is_upload(self) -> bool:
        """Whether a file is sent to it as a stream."""
        return self.streams_requests

    @property
    def is_raw(self) -> bool:
        """Whether it answers with bytes of its own, outside the envelope."""
        return self.response == RAW_BODY

    @property
    def is_event_stream(self) -> bool:
        """Whether it answers with server-sent events, which a browser can only ask for with a ticket."""
        return self.streams_responses and not self.is_raw and not self.streams_requests and not self.is_open

    @property
    def is_streamed(self) -> bool:
        """Whether either side is a stream, so that no total time limit fits it."""
        return self.streams_requests or self.streams_responses


def read_descriptor_set(path: Path = DESCRIPTOR_SET) -> descriptor_pb2.FileDescriptorSet:
    """The contracts with everything that they import."""
    return descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())


def routed_rpcs(files: descriptor_pb2.FileDescriptorSet) -> Sequence[Rpc]:
    """The RPCs of every RPC service that has HTTP routes, less those that only services may call.

    An RPC service without any HTTP route is internal: the gateway doesn't know it.

    Raises:
        ValueError: a routed RPC names no role.
    """
    rpcs = []
    fields = {
        f".{file.package}.{message.name}": {field.name: field.type_name for field in message.field}
        for file in files.file
        for message in file.message_type
    }
    for file in files.file:
        for service in file.service:
            methods = [_rpc(file.package, service.name, method, fields) for method in service.method]
            if any(rpc.bindings for rpc in methods):
                rpcs += [rpc for rpc in methods if rpc.roles != {access_pb2.ROLE_SERVICE}]
    for rpc in rpcs:
        if not rpc.roles or access_pb2.ROLE_UNSPECIFIED in rpc.roles:
            raise ValueError(f"{rpc.path} names no role that may call it")
    return rpcs


def _rpc(
    package: str,
    service: str,
    method: descriptor_pb2.MethodDescriptorProto,
    fields: Mapping[str, Mapping[str, str]],  # types of fields by message and name
) -> Rpc:
    access = method.options.Extensions[access_pb2.access]
    bindings = tuple(_bindings(method))
    return Rpc(
        service=f"{package}.{service}",
        name=method.name,
        upstream=_upstream(package),
        request=method.input_type,
        response=method.output_type,
        streams_requests=method.client_streaming,
        streams_responses=method.server_streaming,
        takes_raw_body=not method.client_streaming
        and any(fields.get(method.input_type, {}).get(binding.body) == RAW_BODY for binding in bindings),
        roles=frozenset(access.roles),
        scopes=tuple(access.scopes),
        tells_form_faults=method.options.Extensions[form_faults_pb2.tells_form_faults],
        bindings=bindings,
    )


def _upstream(package: str) -> str:
    """The service that serves a package: `auth` for mirage.auth.v1."""
    return package.split(".")[1]


def _bindings(method: descriptor_pb2.MethodDescriptorProto) -> Iterator[Binding]:
    if method.options.HasExtension(annotations_pb2.http):
        rule: http_pb2.HttpRule = method.options.Extensions[annotations_pb2.http]
        for route in (rule, *rule.additional_bindings):
            verb = next(verb for verb in _VERBS if getattr(route, verb))
            yield Binding(verb.upper(), getattr(route, verb), route.body)
