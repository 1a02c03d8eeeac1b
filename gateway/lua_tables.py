"""What the gateway's script checks REST requests against, as a Lua module: routes, their parameters, their bodies."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.contracts import Binding, Rpc

Check: TypeAlias = dict[str, Any]
"""What a value must be: its `kind`, and by kind its `fields`, `items`, `values` or `names`."""

_KINDS = {
    FieldDescriptor.TYPE_DOUBLE: "number",
    FieldDescriptor.TYPE_FLOAT: "number",
    FieldDescriptor.TYPE_BOOL: "boolean",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "string",
}
_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
}
_WELL_KNOWN = {
    "google.protobuf.Struct": "struct",
    "google.protobuf.Value": "any",
    "google.protobuf.Timestamp": "timestamp",
}
_VARIABLE = re.compile(r"\{[^}]*\}")


@dataclass
class _Node:
    """A place in the tree of paths."""

    literals: dict[str, "_Node"] = field(default_factory=dict)  # what follows, by the next segment
    variable: "_Node | None" = None  # what follows any segment
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)  # what ends here, by verb

    def at(self, segments: Sequence[str]) -> "_Node":
        """The place below this one, made if it isn't there."""
        if not segments:
            return self
        if _VARIABLE.fullmatch(segments[0]):
            self.variable = self.variable or _Node()
            return self.variable.at(segments[1:])
        return self.literals.setdefault(segments[0], _Node()).at(segments[1:])

    def table(self) -> dict[str, Any]:
        """This place and what is below it, as plain values."""
        return {
            "literals": {name: node.table() for name, node in self.literals.items()},
            "variable": self.variable.table() if self.variable else None,
            "routes": self.routes,
        }


def lua_tables(files: descriptor_pb2.FileDescriptorSet, rpcs: Sequence[Rpc]) -> str:
    """The source of a Lua module with `messages`, `routes` and `streams`.

    `messages` are the fields of each message by its full name, `routes` a tree of path segments, and `streams` the
    paths over gRPC of what takes a stream of requests.

    Raises:
        ValueError: a request has a field of a kind for which there is no check.
    """
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    messages: dict[str, Mapping[str, Check]] = {}
    root = _Node()
    for rpc in rpcs:
        request = pool.FindMessageTypeByName(rpc.request.lstrip("."))
        for binding in rpc.bindings:
            node = root.at(binding.template.strip("/").split("/"))
            node.routes[binding.verb] = _route(rpc, binding, request, messages)
    streams = {rpc.path: True for rpc in rpcs if rpc.streams_requests}
    return f"return {_lua({'messages': messages, 'routes': root.table(), 'streams': streams})}\n"


def _route(rpc: Rpc, binding: Binding, request: Descriptor, messages: dict[str, Mapping[str, Check]]) -> dict[str, Any]:
    """A route: the checks of its query, the message in its body, the fields that the path fills."""
    rest = [one for one in request.fields if one.name not in (*binding.variables, binding.body)]
    body = request if binding.body == "*" else None
    if binding.body and body is None and not (rpc.is_upload or rpc.takes_raw_body):
        body = request.fields_by_name[binding.body].message_type
    return {
        "query": {} if binding.body == "*" else {one.name: _check(one, messages) for one in rest},
        "body": _message(body, messages) if body else None,
        "variables": dict.fromkeys(binding.variables, True),
        "has_head": binding.verb == "GET" and not rpc.is_streamed,
    }


def _message(message: Descriptor, messages: dict[str, Mapping[str, Check]]) -> str:
    """The message's name; its checks are among `messages` then."""
    if message.full_name not in messages:
        messages[message.full_name] = {}  # it may contain itself
        messages[message.full_name] = {one.name: _check(one, messages) for one in message.fields}
    return message.full_name


def _check(one: FieldDescriptor, messages: dict[str, Mapping[str, Check]]) -> Check:
    if one.message_type and one.message_type.GetOptions().map_entry:
        return {"kind": "map", "values": _single(one.message_type.fields_by_name["value"], messages)}
    single = _single(one, messages)
    return {"kind": "list", "items": single} if one.is_repeated else single


def _single(one: FieldDescriptor, messages: dict[str, Mapping[str, Check]]) -> Check:
    if one.message_type:
        kind = _WELL_KNOWN.get(one.message_type.full_name)
        return {"kind": kind} if kind else {"kind": "message", "message": _message(one.message_type, messages)}
    if one.enum_type:
        return {"kind": "enum", "names": [value.name for value in one.enum_type.values]}
    if one.type in _RANGES:
        least, most = _RANGES[one.type]
        return {"kind": "integer", "least": least, "most": most}
    if one.type not in _KINDS:
        raise ValueError(f"{one.full_name}: there is no check for its type; JSON would show 64-bit integers as strings")
    return {"kind": _KINDS[one.type]}


def _lua(value: Any) -> str:
    """A plain value as a Lua expression; None in a table is left out."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _lua_string(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(_lua_pairs(value)) + "}"
    return "{" + ",".join(_lua(each) for each in value) + "}"


def _lua_pairs(table: Mapping[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if value is not None:
            yield f"[{_lua_string(name)}]={_lua(value)}"


def _lua_string(text: str) -> str:
    # Names of the contracts and of path segments; anything else would have to be escaped.
    if not re.fullmatch(r"[A-Za-z0-9_./-]*", text):
        raise ValueError(f"{text!r} is no name that a contract may have")
    return f'"{text}"'
