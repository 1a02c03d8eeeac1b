"""JSON schemas of messages as the gateway writes and reads them: proto3's JSON mapping, with the contracts' names."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from mirage.options.v1 import limits_pb2
from servicekit.limits import Settings, bounds_of, limits_of

Schema: TypeAlias = dict[str, Any]

_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "uint32", "minimum": 0},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}

_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d+)?s$"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Any": {
        "type": "object",
        "description": "A detail; `@type` says of which kind.",
        "properties": {
            "@type": {"type": "string", "description": "Such as `type.googleapis.com/google.rpc.ErrorInfo`."}
        },
        "required": ["@type"],
        "additionalProperties": True,
    },
}

_FORMATS: dict[int, Schema] = {
    limits_pb2.TEXT_FORMAT_EMAIL: {"format": "email"},
    limits_pb2.TEXT_FORMAT_ID: {"format": "uuid"},
    limits_pb2.TEXT_FORMAT_LANGUAGE_TAG: {"pattern": "^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$"},
    limits_pb2.TEXT_FORMAT_SHA256: {"pattern": "^([0-9A-Fa-f]{64})?$"},
}
# By the keyword: which setting gives its value where the document is served.
_SETTINGS = {"minimum": "x-minimum-setting", "maximum": "x-maximum-setting"}

# Messages that ours contain and whose own comments are written for another audience.
_DESCRIPTIONS = {
    "google.rpc.Status": "What went wrong.",
    "google.rpc.Status.code": "The gRPC code: a `google.rpc.Code`.",
    "google.rpc.Status.message": "What went wrong, in words.",
    "google.rpc.Status.details": "More for programs: an `ErrorInfo` with the reason, and what belongs to it.",
}


def with_settings(document: Any, settings: Settings) -> Any:
    """The document, or a part of it, with the values of settings that its limits name."""
    if isinstance(document, list):
        return [with_settings(part, settings) for part in document]
    if not isinstance(document, dict):
        return document
    values = {keyword: settings[document[name]] for keyword, name in _SETTINGS.items() if name in document}
    return {name: with_settings(part, settings) for name, part in document.items()} | values


class Schemas:
    """Collects the schemas of the messages that a document names, to become its `components`."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = {**comments, **_DESCRIPTIONS}
        self._messages: dict[str, Descriptor] = {}
        self.components: dict[str, Schema] = {}

    def comment(self, name: str) -> str:
        """What the contracts say of a definition.

        Raises:
            ValueError: it has no comment, so nobody would know what it is.
        """
        if name not in self._comments:
            raise ValueError(f"{name} has no comment in the contracts")
        return self._comments[name]

    def request(self, message: Descriptor, without: Iterable[str] = ()) -> Schema:
        """A reference to the schema of a request, less what the path fills. What must be given is required."""
        return self._reference(message, frozenset(without), answer=False)

    def answer(self, message: Descriptor) -> Schema:
        """A reference to the schema of an answer. What is always shown is required."""
        return self._reference(message, frozenset(), answer=True)

    def field(self, field: FieldDescriptor, *, answer: bool = False) -> Schema:
        """The schema of one field, with its comment."""
        return {**self._value(field, answer=answer), "description": self.comment(field.full_name)}

    def _reference(self, message: Descriptor, without: frozenset[str], *, answer: bool) -> Schema:
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        name = message.name
        known = self._messages.setdefault(name, message)
        if known.full_name != message.full_name:
            raise ValueError(f"{known.full_name} and {message.full_name} would share the name {name}")
        if name not in self.components:
            self.components[name] = {}  # a message may contain itself
            self.components[name] = self._message(message, without, answer=answer)
        return {"$ref": f"#/components/schemas/{name}"}

    def _message(self, message: Descriptor, without: frozenset[str], *, answer: bool) -> Schema:
        fields = [field for field in message.fields if field.name not in without]
        schema: Schema = {"type": "object", "description": self.comment(message.full_name)}
        if fields:
            schema["properties"] = {field.name: self.field(field, answer=answer) for field in fields}
        required = [field.name for field in fields if (not field.has_presence if answer else _must_be_given(field))]
        if required:
            schema["required"] = required
        return schema

    def _value(self, field: FieldDescriptor, *, answer: bool) -> Schema:
        if field.message_type and field.message_type.GetOptions().map_entry:
            values = field.message_type.fields_by_name["value"]
            return {"type": "object", "additionalProperties": self._single(values, answer=answer)}
        single = {**self._single(field, answer=answer), **_limits(field)}
        if not field.is_repeated:
            return single
        return {"type": "array", "items": single, **_lengths(field)}

    def _single(self, field: FieldDescriptor, *, answer: bool) -> Schema:
        if field.message_type:
            return self._reference(field.message_type, frozenset(), answer=answer)
        if field.enum_type:
            return self._enum(field.enum_type)
        return dict(_SCALARS[field.type])

    def _enum(self, enum: EnumDescriptor) -> Schema:
        if enum.name not in self.components:
            meanings = {value.name: self.comment(f"{enum.full_name}.{value.name}") for value in enum.values}
            lines = [f"- `{name}`: {meaning}" for name, meaning in meanings.items()]
            self.components[enum.name] = {
                "type": "string",
                "enum": list(meanings),
                "description": "\n".join((self.comment(enum.full_name), "", *lines)),
            }
        return {"$ref": f"#/components/schemas/{enum.name}"}


def _must_be_given(field: FieldDescriptor) -> bool:
    limits = limits_of(field)
    return limits is not None and limits.required


def _lengths(field: FieldDescriptor) -> Schema:
    """How many items a list may have."""
    limits = limits_of(field) or limits_pb2.Limits()
    lengths = {"minItems": 1 if limits.required else 0, "maxItems": limits.maximum_items}
    return {keyword: length for keyword, length in lengths.items() if length}


def _limits(field: FieldDescriptor) -> Schema:
    """What a field's values are held to beside their type."""
    limits = limits_of(field)
    if limits is None:
        return {}
    schema: Schema = {}
    settings = {"minimum": limits.minimum_setting, "maximum": limits.maximum_setting}
    for (keyword, setting), bound in zip(settings.items(), bounds_of(limits, {}), strict=True):
        if bound is not None:
            schema[keyword] = int(bound) if bound.is_integer() else bound
        if setting:
            schema[_SETTINGS[keyword]] = setting
    shortest = max(limits.minimum_length, 1 if limits.required and field.type == FieldDescriptor.TYPE_STRING else 0)
    if shortest and not field.is_repeated:
        schema["minLength"] = shortest
    if limits.maximum_length:
        schema["maxLength"] = limits.maximum_length
    if limits.choices:
        is_free = not (field.has_presence or field.is_repeated or limits.required)  # an empty one is none
        schema["enum"] = [*limits.choices, *([""] if is_free and "" not in limits.choices else [])]
    return schema | _FORMATS.get(limits.format, {})
