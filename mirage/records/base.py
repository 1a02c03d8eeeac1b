"""How an answer of the platform becomes a Python object."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar, overload

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2  # noqa: F401 -- to_dict knows only loaded types

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Record(Generic[M]):
    """Something that the platform told."""

    def __init__(self, message: M) -> None:
        self._told = message

    @property
    def proto(self) -> M:
        """The message itself."""
        return self._told

    def to_dict(self) -> dict[str, Any]:
        """Returns it as the HTTP API shows it."""
        return json_format.MessageToDict(
            self.proto, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(self) is type(other) and self.proto == other.proto

    __hash__ = None  # type: ignore[assignment]  # what it tells can change


class Field(Generic[T]):
    """A read-only attribute: a field of the message, as a Python value."""

    def __init__(self, name: str, convert: Callable[[Any], T], doc: str) -> None:
        self._name = name
        self._convert = convert
        self.__doc__ = doc

    @overload
    def __get__(self, record: None, owner: type) -> Self: ...
    @overload
    def __get__(self, record: Record[Any], owner: type) -> T: ...
    def __get__(self, record: Record[Any] | None, owner: type) -> Self | T:
        return self if record is None else self._convert(getattr(record.proto, self._name))

    def __set__(self, record: Record[Any], value: object) -> None:
        raise AttributeError(f"{self._name} is what the platform told; it can't be set.")


class OptionalField(Generic[T]):
    """A read-only attribute that is None where the message doesn't have the field."""

    def __init__(self, name: str, convert: Callable[[Any], T], doc: str) -> None:
        self._name = name
        self._convert = convert
        self.__doc__ = doc

    @overload
    def __get__(self, record: None, owner: type) -> Self: ...
    @overload
    def __get__(self, record: Record[Any], owner: type) -> T | None: ...
    def __get__(self, record: Record[Any] | None, owner: type) -> Self | T | None:
        if record is None:
            return self
        message = record.proto
        return self._convert(getattr(message, self._name)) if message.HasField(self._name) else None

    def __set__(self, record: Record[Any], value: object) -> None:
        raise AttributeError(f"{self._name} is what the platform told; it can't be set.")


def time(timestamp: Timestamp) -> datetime:
    """Returns a point in time, aware, in UTC."""
    return timestamp.ToDatetime(tzinfo=UTC)


def from_struct(struct: Struct) -> dict[str, Any]:
    """Returns a Struct as a dict in the order of its names; whole numbers are integers again."""
    return {name: _whole(value) for name, value in sorted(json_format.MessageToDict(struct).items())}


def from_value(value: Value) -> Any:
    """Returns a Value as what it stands for; whole numbers are integers again."""
    return _whole(json_format.MessageToDict(value))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return value


def texts(values: Any) -> list[str]:
    """Returns a repeated text as a list."""
    return list(values)


def numbers(values: Any) -> dict[str, float]:
    """Returns a map of numbers as a dict."""
    return dict(values)


def message_of(status: Any) -> str:
    """Returns what a `google.rpc.Status` says; empty for none."""
    return str(status.message)


def word(enum: Any, prefix: str) -> Callable[[int], str]:
    """Returns what makes a lower-case word of an enum's value; one that this library doesn't know keeps its number."""

    def convert(value: int) -> str:
        return str(enum.Name(value) if value in enum.values() else value).removeprefix(prefix).lower()

    return convert
