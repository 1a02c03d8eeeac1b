"""One spelling for a value."""

import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirage.audit.canonical import NotCanonical, canonical, normalised, parsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_one_spelling(value: Any) -> None:
    """However a value went through JSON, it comes back to the same bytes."""
    first = canonical(normalised(value))
    assert canonical(parsed(first)) == first
    loosely = json.dumps(normalised(value), indent=1, ensure_ascii=False)
    assert canonical(parsed(loosely)) == first


def test_spelling() -> None:
    """Members are sorted, numbers are spelled as ECMAScript does, and nothing is escaped without need."""
    value = {"b": [1.0, -0.0, 1e21, 1e-7, 0.1, 2**60, True, None], "a": "é\n\u20ac", "\U0001f600": 1, "\ufb33": 2}
    assert canonical(normalised(value)).decode() == (
        '{"a":"é\\n€","b":[1,0,1e+21,1e-7,0.1,1152921504606847000,true,null],"\U0001f600":1,"\ufb33":2}'
    )


def test_unspeakable() -> None:
    """What JSON or PostgreSQL has no spelling for is told as text."""
    value = [math.nan, math.inf, -math.inf, "a\0b", 10**400, -(10**400)]
    assert normalised(value) == ["NaN", "Infinity", "-Infinity", "a\ufffdb", "Infinity", "-Infinity"]


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a":1,"a":1}', "[" * 100_000, b"\xff"])
def test_no_json(text: str | bytes) -> None:
    """What is no JSON, or could be read in two ways, is refused."""
    with pytest.raises(NotCanonical):
        parsed(text)


def test_no_json_value() -> None:
    """What JSON can't hold at all is a fault of the program."""
    with pytest.raises(TypeError, match="bytes"):
        normalised({"a": b""})
    with pytest.raises(TypeError, match="named by text"):
        normalised({1: "a"})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_spelled_by_the_scheme(value: Any) -> None:
    """Whatever the value, its spelling is that of the scheme's own encoder."""
    kept = normalised(value)
    assert canonical(kept) == rfc8785.dumps(kept)


@pytest.mark.parametrize(
    "value",
    [1e-4, 9.999e-5, 1e-7, 0.1 + 0.2, 5e-324, 2.0**53 - 0.5, 2.0**53, 1e15 + 0.5, 1e16, 1e21, 1e300, -1.5, -0.0, 2**53],
)
def test_numbers_at_the_edges(value: float) -> None:
    """Numbers at which spellings part are spelled by the scheme."""
    assert canonical(normalised([value, {"n": value}])) == rfc8785.dumps(normalised([value, {"n": value}]))


def test_members_beyond_ascii() -> None:
    """Members are sorted by UTF-16, in which what is beyond the basic plane comes before its last characters."""
    value = {"\U0001f600": 1, "\ufffd": 2, "é": 3, "z": 4}
    assert canonical(value) == rfc8785.dumps(value)
    assert canonical(value).index("\U0001f600".encode()) < canonical(value).index("\ufffd".encode())
