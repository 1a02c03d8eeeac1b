"""Limits of requests' fields, as the contracts name them: what a wrong value is told, here and at the gateway.

A limit is written once, as an option of its field. Use cases that report what else is wrong take it into their models
by `limited`; requests in which nothing else can be wrong are checked as they are by `check`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from pydantic import BeforeValidator

from mirage.options.v1 import limits_pb2
from mirage.options.v1.limits_pb2 import Limits
from servicekit.errors import InvalidRequest, Violation
from servicekit.wording import REQUIRED

if TYPE_CHECKING:
    from google._upb import _message

    Field: TypeAlias = FieldDescriptor | _message.FieldDescriptor


Settings = Mapping[str, float]
"""Values of the settings that limits name, by the setting's name."""

# What Unicode calls white space; str.strip() would take some separators of ASCII as well.
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_FORMATS: Mapping[int, tuple[str, re.Pattern[str]]] = {
    limits_pb2.TEXT_FORMAT_WITHOUT_NULL: ("hold no null character", re.compile(r"[^\0]*")),
    limits_pb2.TEXT_FORMAT_ONE_LINE: (
        "be one line without control characters",
        re.compile("[^\\x00-\\x1f\\x7f-\\x9f\u2028\u2029]*"),
    ),
    # What is surely none; the rest of the rules are the service's, which knows them all.
    limits_pb2.TEXT_FORMAT_EMAIL: (
        "be an e-mail address, such as ada@example.org",
        re.compile(r"[^@ \t\r\n]+@[^@ \t\r\n]+"),
    ),
    limits_pb2.TEXT_FORMAT_ID: ("be an id", re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")),
    limits_pb2.TEXT_FORMAT_LANGUAGE_TAG: (
        "be a BCP 47 language tag, such as en-GB, or empty",
        re.compile(r"([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?"),
    ),
    limits_pb2.TEXT_FORMAT_SHA256: ("be 64 hexadecimal digits", re.compile(r"[0-9A-Fa-f]{64}")),
}
_WHOLE = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32}


def limits_of(field: "Field") -> Limits | None:
    """What the contract says of a field's values; None where that is nothing."""
    options = field.GetOptions()
    return options.Extensions[limits_pb2.limits] if options.HasExtension(limits_pb2.limits) else None


def bounds_of(limits: Limits, settings: Settings) -> tuple[float | None, float | None]:
    """The smallest and the largest number, None where there is none; settings that aren't given have their defaults."""
    least = limits.minimum if limits.HasField("minimum") else None
    most = limits.maximum if limits.HasField("maximum") else None
    return (
        settings.get(limits.minimum_setting, least) if limits.minimum_setting else least,
        settings.get(limits.maximum_setting, most) if limits.maximum_setting else most,
    )


def words_for(field: "Field", settings: Settings) -> str:
    """What a value must be, told of every one that isn't: all of the field's limits in a sentence.

    Raises:
        ValueError: the field has no limit beside being required.
    """
    limits = limits_of(field) or Limits()
    parts = []
    bounds = bounds_of(limits, settings)
    if bounds != (None, None):
        kind = "a whole number" if field.cpp_type in _WHOLE else "a number"
        parts.append(f"be {kind} {_range(*bounds)}")
    if limits.choices:
        parts.append(f"be one of {', '.join(choice for choice in limits.choices if choice)}")
    shortest, longest = limits.minimum_length, limits.maximum_length
    if longest:
        parts.append(f"have {shortest} to {longest} characters" if shortest else f"have at most {longest} characters")
    elif shortest:
        parts.append(f"have at least {shortest} characters")
    if limits.format:
        parts.append(_FORMATS[limits.format][0])
    if not parts:
        raise ValueError(f"{field.full_name} has no limit to tell")
    return f"must {' and '.join(parts)}"


def words_for_items(limits: Limits) -> str | None:
    """How many items a list may have, told of one that has more; None for any number."""
    most = limits.maximum_items
    return f"must have at most {most} item{'' if most == 1 else 's'}" if most else None


def fault(field: "Field", value: Any, settings: Settings | None = None) -> str | None:
    """What is wrong with a number or a text that a field is set to; None if nothing is.

    Args:
        field: the field of a request.
        value: what it is set to; of a list, one item.
        settings: the settings in force that limits name, as far as they aren't the defaults.
    """
    limits = limits_of(field)
    if limits is None:
        return None
    if value == field.default_value and not field.has_presence and not field.is_repeated:
        return REQUIRED if limits.required else None
    if isinstance(value, str):
        text = value.strip(_SPACES) if limits.trimmed else value
        if limits.required and not text:
            return REQUIRED
        right = _is_right(limits, text)
    else:
        least, most = bounds_of(limits, settings or {})
        right = (least is None or value >= least) and (most is None or value <= most)
    return None if right else words_for(field, settings or {})


def limited(message: type[Message], name: str) -> BeforeValidator:
    """What holds a model's field to the limits of a request's field; None, which stands for nothing given, passes.

    `text: Annotated[str, limited(SomeRequest, "text")]`; of a list, `tuple[Annotated[str, limited(…)], ...]` for its
    items and `Annotated[tuple[str, ...], limited(…)]` for how many there are.
    """
    field = message.DESCRIPTOR.fields_by_name[name]

    def checked(value: Any) -> Any:
        judge = _fault_of_length if isinstance(value, list | tuple) else fault
        wrong = None if value is None else judge(field, value)
        if wrong:
            raise ValueError(wrong)
        return value

    return BeforeValidator(checked)


def violations(message: Message, settings: Settings | None = None) -> Iterator[Violation]:
    """Every field of a request, and of the messages in it, whose value is outside of its limits or of its enum."""
    yield from _violations(message, settings or {}, "")


def check(message: Message, settings: Settings | None = None) -> None:
    """Holds a request to its limits.

    Raises:
        InvalidRequest: with every field whose value is outside of its limits.
    """
    if found := list(violations(message, settings)):
        raise InvalidRequest(found)


def _violations(message: Message, settings: Settings, prefix: str) -> Iterator[Violation]:
    for field in message.DESCRIPTOR.fields:
        path = f"{prefix}{field.name}"
        value = getattr(message, field.name)
        if field.is_repeated:
            yield from _in_list(field, value, settings, path)
        elif field.has_presence and not message.HasField(field.name):
            continue
        elif field.message_type is not None:
            yield from _violations(value, settings, f"{path}.")
        elif wrong := fault(field, value, settings):
            yield Violation(path, wrong)
        elif (
            field.enum_type is not None and value not in field.enum_type.values_by_number
        ):  # the wire carries any number
            yield Violation(path, f"must be one of {', '.join(field.enum_type.values_by_name)}")


def _in_list(field: "Field", values: Any, settings: Settings, path: str) -> Iterator[Violation]:
    limits = limits_of(field)
    if limits is not None and limits.required and not values:
        yield Violation(path, REQUIRED)
    if wrong := _fault_of_length(field, values):
        yield Violation(path, wrong)
    if field.message_type is None:
        for index, item in enumerate(values if limits is not None else ()):
            if wrong := fault(field, item, settings):
                yield Violation(f"{path}.{index}", wrong)
    elif not field.message_type.GetOptions().map_entry:
        for index, item in enumerate(values):
            yield from _violations(item, settings, f"{path}.{index}.")


def _fault_of_length(field: "Field", items: Sequence[Any]) -> str | None:
    """What is wrong with the number of a list's items; None if nothing is."""
    limits = limits_of(field)
    is_too_long = limits is not None and limits.maximum_items and len(items) > limits.maximum_items
    return words_for_items(limits) if limits is not None and is_too_long else None


def _is_right(limits: Limits, text: str) -> bool:
    return (
        len(text) >= limits.minimum_length
        and (not limits.maximum_length or len(text) <= limits.maximum_length)
        and (not limits.choices or text in limits.choices)
        and (not limits.format or _FORMATS[limits.format][1].fullmatch(text) is not None)
    )


def _range(least: float | None, most: float | None) -> str:
    if least is None:
        return f"of at most {most:.15g}"
    return f"of at least {least:.15g}" if most is None else f"from {least:.15g} to {most:.15g}"
