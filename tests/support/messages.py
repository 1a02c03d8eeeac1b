"""Messages of any kind, made by their descriptors: what is right, what is wrong, and what is meant to harm."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf import message_factory, struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

Values = Mapping[str, Sequence[str]]
"""Texts that mean something, by the name of the field that takes them, such as ids of things that are there."""

HOSTILE_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "é\N{COMBINING ACUTE ACCENT}\N{RIGHT-TO-LEFT OVERRIDE}\N{PILE OF POO}",
    "\N{PILE OF POO}" * 2_000,
    "x" * 100_000,
    "';DROP TABLE users;--",
    "../../etc/passwd",
    "%00%s%n{}${jndi:x}",
    "\r\nset-cookie: a=b",
    "\x7f\x1b[2J\ufeff\ufffe\U0010ffff",
    "-1",
    "NaN",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "{00000000-0000-0000-0000-000000000000}",
    "eyJhbGciOiJub25lIn0.e30.",
)
_NUMBERS = (0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan, 2.0**53, 0.5, -1.0)
_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_ENUM: (-(2**31), 2**31 - 1),  # an open enum takes any number
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
}
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def messages(descriptor: Descriptor, values: Values) -> st.SearchStrategy[Any]:
    """Messages of this kind, each field absent or with any value that the wire can carry."""
    if descriptor.full_name == "google.protobuf.Struct":
        return _structs()
    if descriptor.full_name == "google.protobuf.Timestamp":
        extremes = st.sampled_from([0, -1, 253402300799, 253402300800, -62135596801, 2**63 - 1, -(2**63)])
        nanos = st.sampled_from([0, 1, 999_999_999, 10**9, -1, 2**31 - 1])
        return st.builds(message_factory.GetMessageClass(descriptor), seconds=extremes, nanos=nanos)
    fields = {field.name: _field(field, values) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: _build(descriptor, given))


def _build(descriptor: Descriptor, given: Mapping[str, Any]) -> Message:
    return message_factory.GetMessageClass(descriptor)(**given)


def _field(field: FieldDescriptor, values: Values) -> st.SearchStrategy[Any]:
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_single(key, values), _single(value, values), max_size=3)
    single = _single(field, values)
    return st.lists(single, max_size=4) if field.is_repeated else single


def _single(field: FieldDescriptor, values: Values) -> st.SearchStrategy[Any]:
    if field.message_type:
        return messages(field.message_type, values)
    if field.type == FieldDescriptor.TYPE_STRING:
        texts = _TEXT | st.sampled_from(HOSTILE_TEXTS)
        known = values.get(field.name)
        return st.sampled_from(known) | texts if known else texts
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=200) | st.sampled_from([b"a,b\n1,2\n", b"\x1f\x8b", b"PK\3\4", b"\0" * 1000])
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return st.sampled_from(_NUMBERS) | st.floats()
    least, most = _RANGES[field.type]
    return st.sampled_from([least, most, 0, 1]) | st.integers(0, 20) | st.integers(least, most)


def _structs() -> st.SearchStrategy[struct_pb2.Struct]:
    """Free objects: of the parameters that somewhere mean something, and of anything; some nested deeply."""
    names = (
        "model_type",
        "epochs",
        "batch_size",
        "pac",
        "generator_dim",
        "enabled",
        "learning_rate",
        "epsilon",
        "carrier",
        "default_distribution",
        "method",
        "n_trials",
        "metric",
        "choices",
        "min",
        "max",
    )
    words = st.sampled_from(("ctgan", "tvae", "gaussian_copula", "nothing", *HOSTILE_TEXTS)) | _TEXT
    leaves = st.none() | st.booleans() | st.sampled_from(_NUMBERS) | st.integers(-5, 600).map(float) | words
    anything = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3),
        max_leaves=8,
    )
    flat = st.dictionaries(st.sampled_from(names) | words, anything, max_size=5)
    return (flat | st.just(_deep(25))).map(_struct)


def _deep(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels):
        document = {"a": document}
    return document


def _struct(document: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(document)
    return struct


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Bytes that were a message before something happened to them."""
    cut: Callable[[int], bytes] = lambda length: content[:length]  # noqa: E731 - named for its type
    return st.integers(0, len(content)).map(cut) | st.binary(min_size=1, max_size=30).map(lambda more: content + more)
