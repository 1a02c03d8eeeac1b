"""What the gateway's script checks REST requests against, as a Lua module: routes, their parameters, their bodies."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.contracts import Binding, Rpc
from mirage.options.v1 import limits_pb2
from servicekit.limits import Settings, bounds_of, limits_of, words_for, words_for_items

Check: TypeAlias = dict[str, Any]
"""What a value must be: its `kind`, by kind its `items`, `values` or `names`; whether it is `required`, its `limit`.

Of a list also `most_items`, and the `words` for one that has more.
"""

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


@dataclass(frozen=True)
class _Tables:
    """The checks of messages, as far as they are found yet."""

    settings: Settings
    messages: dict[str, Mapping[str, Check]] = field(default_factory=dict)  # checks of fields, by message and name
    required: dict[str, Sequence[str]] = field(default_factory=dict)  # fields that must be given, by message


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


def lua_tables(files: descriptor_pb2.FileDescriptorSet, rpcs: Sequence[Rpc], settings: Settings) -> str:
    """The source of a Lua module with `messages`, `required`, `routes` and `streams`.

    `messages` are the fields of each message by its full name, `required` the names of those that must be given,
    `routes` a tree of path segments, and `streams` the paths over gRPC of what takes a stream of requests. `settings`
    are the values of those that limits name.

    Raises:
        ValueError: a request has a field of a kind for which there is no check.
    """
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    tables = _Tables(settings)
    root = _Node()
    for rpc in rpcs:
        request = pool.FindMessageTypeByName(rpc.request.lstrip("."))
        for binding in rpc.bindings:
            node = root.at(binding.template.strip("/").split("/"))
            node.routes[binding.verb] = _route(rpc, binding, request, tables)
    streams = {rpc.path: True for rpc in rpcs if rpc.streams_requests}
    module = {
        "messages": tables.messages,
        "required": tables.required,
        "routes": root.table(),
        "streams": streams,
    }
    return f"return {_lua(module)}\n"


def _route(rpc: Rpc, binding: Binding, request: Descriptor, tables: _Tables) -> dict[str, Any]:
    """A route: the checks of its query, the message in its body, the fields that the path fills."""
    rest = [one for one in request.fields if one.name not in (*binding.variables, binding.body)]
    body = request if binding.body == "*" else None
    if binding.body and body is None and not (rpc.is_upload or rpc.takes_raw_body):
        body = request.fields_by_name[binding.body].message_type
    return {
        "query": {} if binding.body == "*" else {one.name: _check(one, tables) for one in rest},
        "body": _message(body, tables) if body else None,
        "variables": dict.fromkeys(binding.variables, True),
        "tells_form_faults": True if rpc.tells_form_faults else None,
        "has_head": binding.verb == "GET" and not rpc.is_streamed,
    }


def _message(message: Descriptor, tables: _Tables) -> str:
    """The message's name; its checks are among the tables then."""
    if message.full_name not in tables.messages:
        tables.messages[message.full_name] = {}  # it may contain itself
        checks = {one.name: _check(one, tables) for one in message.fields}
        tables.messages[message.full_name] = checks
        tables.required[message.full_name] = [name for name, check in checks.items() if check["required"]]
    return message.full_name


def _check(one: FieldDescriptor, tables: _Tables) -> Check:
    limits = limits_of(one) or limits_pb2.Limits()
    required = {"required": limits.required or None}
    if one.message_type and one.message_type.GetOptions().map_entry:
        return {"kind": "map", "values": _single(one.message_type.fields_by_name["value"], tables), **required}
    single = _single(one, tables)
    if not one.is_repeated:
        return {**single, **required}
    most = {"most_items": limits.maximum_items or None, "words": words_for_items(limits)}
    return {"kind": "list", "items": single, **most, **required}


def _single(one: FieldDescriptor, tables: _Tables) -> Check:
    if one.message_type:
        kind = _WELL_KNOWN.get(one.message_type.full_name)
        return {"kind": kind} if kind else {"kind": "message", "message": _message(one.message_type, tables)}
    if one.enum_type:
        return {"kind": "enum", "names": [value.name for value in one.enum_type.values]}
    limit = _limit(one, tables.settings)
    if one.type in _RANGES:
        least, most = _RANGES[one.type]
        return {"kind": "integer", "least": least, "most": most, "limit": limit}
    if one.type not in _KINDS:
        raise ValueError(f"{one.full_name}: there is no check for its type; JSON would show 64-bit integers as strings")
    return {"kind": _KINDS[one.type], "limit": limit}


def _limit(one: FieldDescriptor, settings: Settings) -> dict[str, Any] | None:
    """What a number or a text is held to beside its type, with the words for what isn't so; None for nothing."""
    limits = limits_of(one)
    if limits is None or limits == limits_pb2.Limits(required=limits.required, maximum_items=limits.maximum_items):
        return None
    if unknown := {limits.minimum_setting, limits.maximum_setting} - {"", *settings}:
        raise ValueError(f"{one.full_name}: the gateway has no setting {', '.join(sorted(unknown))}")
    least, most = bounds_of(limits, settings)
    return {
        "words": words_for(one, settings),
        "zero_is_unset": True if not (one.has_presence or one.is_repeated) else None,  # and so is ""
        "least": least,
        "most": most,
        "shortest": limits.minimum_length or None,
        "longest": limits.maximum_length or None,
        "choices": dict.fromkeys(limits.choices, True) or None,
        "format": limits_pb2.TextFormat.Name(limits.format) if limits.format else None,
        "trimmed": limits.trimmed or None,
    }


def _lua(value: Any) -> str:
    """A plain value as a Lua expression; None in a table is left out."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
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
    """A string in quotes: what isn't plain ASCII byte by byte."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in text.encode())
    return f'"{"".join(plain)}"'
