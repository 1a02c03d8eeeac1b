"""What pydantic finds wrong, in the platform's own words."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, JsonValue, SecretStr

from servicekit.errors import InvalidRequest
from servicekit.validation import validated


class Colour(StrEnum):
    """Something to choose."""

    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    """Something inside."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool = False
    widths: Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=8)] = [1]


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


class Model(BaseModel):
    """One field of each kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    title: Annotated[str, Field(max_length=1)] = ""
    count: Annotated[int, Field(ge=1, le=100_000), AfterValidator(_even)] | None = None
    least: Annotated[int, Field(ge=3)] = 3
    share: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = 0.1
    wait: Annotated[float, Field(gt=0)] = 1.0
    colour: Colour = Colour.RED
    shape: Literal["round", "square"] = "round"
    columns: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    inner: Inner = Field(default_factory=Inner, alias="inner_config")
    anything: dict[str, JsonValue] = {}
    moment: datetime | None = None
    key: UUID | None = None
    link: HttpUrl | None = None
    secret: Annotated[SecretStr, Field(min_length=16)] | None = None


def told(**values: Any) -> dict[str, str]:
    """What is said of a model with these values, by field."""
    with pytest.raises(InvalidRequest) as caught:
        validated(Model, {"name": "x"} | values)
    return {violation.field: violation.description for violation in caught.value.violations}


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("name", ["", None], None),
        ("name", ["x" * 101], "must have 1 to 100 characters"),
        ("name", [5, True], "must be a string"),
        ("title", ["ab"], "must have at most 1 character"),
        ("count", [0, -1, 100_001, 10**30, "many", 2.5, [], float("nan")], "must be a whole number from 1 to 100000"),
        ("count", [3], "must be even"),
        ("least", [2, "x"], "must be a whole number of at least 3"),
        ("share", [-0.1, 0.6, "x", float("inf"), {}], "must be a number from 0 to 0.5"),
        ("wait", [0, "x"], "must be a number above 0"),
        ("colour", ["green", 5], "must be one of red, blue"),
        ("shape", ["oval", None], "must be one of round, square"),
        ("columns", ["x", 5], "must be a list"),
        ("labels", [[], "x"], "must be an object"),
        ("inner_config", [[], "x"], "must be an object"),
        ("anything", [[]], "must be an object"),
        ("moment", ["yesterday", []], "must be a time in RFC 3339, such as 2026-01-31T12:00:00Z"),
        ("key", ["x", 5], "must be an id"),
        ("link", ["x y"], "must be a valid URL, relative URL without a base"),
        ("secret", ["short"], "must have at least 16 characters"),
    ],
)
def test_words(field: str, values: list[object], words: str | None) -> None:
    """Every kind of fault says what the field may be as a whole, in one way."""
    for value in values:
        said = told(**{field: value})
        expected = words or ("must be a string" if value is None else "is required")
        assert said == {field: expected}, value


def test_places() -> None:
    """What is inside of objects and lists is told where it is, with its own bounds; unknown and missing fields too."""
    inner = {"enabled": 1, "widths": [5, 0, "x"], "hight": 1}
    assert told(inner_config=inner, columns=["a", 5], labels={"a": 5}, unknown=1) == {
        "inner_config.enabled": "must be true or false",
        "inner_config.widths.1": "must be a whole number from 1 to 4096",
        "inner_config.widths.2": "must be a whole number from 1 to 4096",
        "inner_config.hight": "is not a known field",
        "columns.1": "must be a string",
        "labels.a": "must be a string",
        "unknown": "is not a known field",
    }
    assert told(inner_config={"widths": [1] * 9}) == {"inner_config.widths": "must have 1 to 8 items"}
    assert told(inner_config={"widths": []}) == {"inner_config.widths": "is required"}
    with pytest.raises(InvalidRequest) as caught:
        validated(Model, {}, "config")
    assert caught.value.message == "config.name: is required"
