"""What pydantic finds wrong, in the platform's own words: what would be right, as the gateway says it as well.

pydantic's phrases name the one bound that was overstepped; what a field may be as a whole stands in its model's schema.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import ErrorDetails

Schema = Mapping[str, Any]

REQUIRED = "is required"
"""What is told of a field that isn't given, or is empty where something is needed."""

_FIXED = {
    "missing": REQUIRED,
    "extra_forbidden": "is not a known field",
}
# What one of these says follows from what the field may be.
_OF_THE_SCHEMA = re.compile(
    "int_|float_|finite_number|bool_|string_(type|too_|sub_type|unicode)|literal_error|enum|list_|tuple_|set_|"
    "frozen_set_|too_(short|long)|dict_|model_type|model_attributes_type|mapping_type|greater_than|less_than|datetime_|"
    "uuid_"
)
_WRITTEN = {"date-time": "a time in RFC 3339, such as 2026-01-31T12:00:00Z", "uuid": "an id"}


def in_words(detail: ErrorDetails, model: type[BaseModel] | None = None) -> str:
    """What is wrong with one field, without its name: `must be a whole number from 1 to 500`.

    `model` is what the values were read into. Values are never repeated: they may be secret.
    """
    kind = detail["type"]
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in {"string_too_short", "too_short"} and not detail.get("input", "?"):
        return REQUIRED  # a field that a message doesn't set is an empty one
    if model is not None and _OF_THE_SCHEMA.match(kind):
        found = _at(_schema(model), detail["loc"])
        if found and (words := _required(found, of_wrong_length=kind.endswith(("too_short", "too_long")))):
            return f"must {words}"
    # pydantic marks what our own validators say with "Value error, ", and begins what it says itself with its subject.
    return re.sub(r"^[A-Z]\w+ should ", "must ", detail["msg"].removeprefix("Value error, "))


def whole_number(low: int, high: int) -> str:
    """What a number outside of these bounds, both allowed, is told."""
    return f"must be a whole number from {low} to {high}"


class _Quietly(GenerateJsonSchema):
    """Says nothing of what a schema leaves out: here it is only read."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Drops it."""


@cache
def _schema(model: type[BaseModel]) -> Schema:
    """A model's JSON schema; empty if it has none."""
    try:
        return model.model_json_schema(schema_generator=_Quietly)
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return {}


def _at(root: Schema, path: Sequence[int | str]) -> Schema | None:
    """The schema of what is at a place; None if that can't be told."""
    schema = _plain(root, root)
    for step in path:
        if isinstance(step, int):
            items = schema.get("prefixItems")
            below = items[step] if items and step < len(items) else schema.get("items")
        else:
            below = schema.get("properties", {}).get(step, schema.get("additionalProperties"))
        if not isinstance(below, Mapping):
            return None
        schema = _plain(root, below)
    return schema


def _plain(root: Schema, schema: Schema) -> Schema:
    """The schema itself, where it only points to another or allows null beside it."""
    while True:
        alternatives = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
        if len(alternatives) == 1:
            schema = alternatives[0]
        elif "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
        else:
            return schema


def _required(schema: Schema, *, of_wrong_length: bool) -> str:
    """What a value of a schema must do, as in `be true or false`; empty if that isn't known."""
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return f"be one of {', '.join(map(str, choices))}"
    match schema.get("type"):
        case "integer":
            return f"be a whole number{_range(schema)}"
        case "number":
            return f"be a number{_range(schema)}"
        case "boolean":
            return "be true or false"
        case "string" if of_wrong_length:
            return f"have {_count(schema.get('minLength'), schema.get('maxLength'), 'character')}"
        case "string":
            return f"be {_WRITTEN.get(schema.get('format', ''), 'a string')}"
        case "array" if of_wrong_length:
            return f"have {_count(schema.get('minItems'), schema.get('maxItems'), 'item')}"
        case "array":
            return "be a list"
        case "object":
            return "be an object"
    return ""


def _range(schema: Schema) -> str:
    """The bounds of a number in words, beginning with a space; empty without any."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    bounds = (("of at least", low), ("above", above), ("of at most", high), ("below", below))
    return "".join(f" {words} {bound}" for words, bound in bounds if bound is not None)


def _count(low: int | None, high: int | None, unit: str) -> str:
    """How many of something there must be, in words."""
    last = low if high is None else high
    units = unit if last == 1 else f"{unit}s"
    if low and high:
        return f"{low} to {high} {units}" if low != high else f"{low} {units}"
    return f"at {'least' if high is None else 'most'} {last} {units}"
