"""Free-form objects: dictionaries inside, `google.protobuf.Struct` on the wire."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value


def to_struct(values: Mapping[str, Any]) -> Struct:
    """The protobuf form of a dictionary of JSON values."""
    struct = Struct()
    struct.update(values)
    return struct


def from_struct(struct: Struct) -> dict[str, Any]:
    """The dictionary in a Struct. A Struct knows only doubles: whole numbers come back as int."""
    return {key: _plain(value) for key, value in struct.fields.items()}


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return _plain_list(value.list_value)
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return getattr(value, kind)


def _plain_list(values: ListValue) -> list[Any]:
    return [_plain(value) for value in values.values]
