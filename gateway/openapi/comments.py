"""The comments of the contracts, by the full name of what they stand above."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from google.protobuf import descriptor_pb2

# Positions of fields in FileDescriptorProto and what is in it, as SourceCodeInfo names places (descriptor.proto).
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_MESSAGE, _MESSAGE_ENUM = 2, 3, 4
_ENUM_VALUE = 2
_SERVICE_METHOD = 2

Place: TypeAlias = tuple[int, ...]


def comments_of(files: descriptor_pb2.FileDescriptorSet) -> dict[str, str]:
    """Each comment as one paragraph, by `package.Message.field` and the like. The set must hold source info."""
    comments = {}
    for file in files.file:
        texts = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        for name, place in _definitions(file):
            if texts.get(place):
                comments[name] = " ".join(texts[place].split())
    return comments


def _definitions(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, Place]]:
    yield from _messages(file.package, (_FILE_MESSAGE,), file.message_type)
    yield from _enums(file.package, (_FILE_ENUM,), file.enum_type)
    for index, service in enumerate(file.service):
        name, place = f"{file.package}.{service.name}", (_FILE_SERVICE, index)
        yield name, place
        for position, method in enumerate(service.method):
            yield f"{name}.{method.name}", (*place, _SERVICE_METHOD, position)


def _messages(scope: str, at: Place, messages: Sequence[descriptor_pb2.DescriptorProto]) -> Iterator[tuple[str, Place]]:
    for index, message in enumerate(messages):
        name, place = f"{scope}.{message.name}", (*at, index)
        yield name, place
        for position, field in enumerate(message.field):
            yield f"{name}.{field.name}", (*place, _MESSAGE_FIELD, position)
        yield from _messages(name, (*place, _MESSAGE_MESSAGE), message.nested_type)
        yield from _enums(name, (*place, _MESSAGE_ENUM), message.enum_type)


def _enums(scope: str, at: Place, enums: Sequence[descriptor_pb2.EnumDescriptorProto]) -> Iterator[tuple[str, Place]]:
    for index, enum in enumerate(enums):
        name, place = f"{scope}.{enum.name}", (*at, index)
        yield name, place
        for position, value in enumerate(enum.value):
            # A value is a sibling of its enum in C++ scoping; here it is named below it.
            yield f"{name}.{value.name}", (*place, _ENUM_VALUE, position)
