"""One spelling for a JSON value, so that it has one hash: the JSON Canonicalization Scheme (RFC 8785)."""

import json
import math
from collections.abc import Mapping
from typing import Any

import rfc8785

# What every JSON reader takes for the same whole number (RFC 7493, section 2.2).
_LARGEST_EXACT = 2**53 - 1
# Between these two both spell a number that isn't whole without an exponent.
_SHORTEST, _LONGEST = 1e-4, 2.0**53
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


class NotCanonical(ValueError):
    """A text is not the one spelling of a value."""


def normalised(value: Any) -> Any:
    """A JSON value as it is kept: whole numbers as `int` where every reader agrees on them, otherwise as `float`.

    What JSON has no spelling for becomes text (`NaN`, `Infinity`, `-Infinity`), and what PostgreSQL can't hold, the
    character U+0000, becomes U+FFFD: a fact that can't be told exactly is still told, and never lost.

    Raises:
        TypeError: there is something other than mappings with text for keys, lists, text, numbers, truth values, None.
    """
    # Text first: there is most of it.
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if "\0" in value else value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return {normalised(_name(name)): normalised(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [normalised(each) for each in value]
    raise TypeError(f"JSON has no {type(value).__name__}.")


def canonical(value: Any) -> bytes:
    """The one spelling of a normalised value, in UTF-8."""
    # Nearly all values are spelled likewise by Python's own encoder, in a tenth of the time.
    return _ENCODER.encode(value).encode() if _is_plain(value) else rfc8785.dumps(value)


def parsed(text: str | bytes) -> Any:
    """The normalised value of a JSON text.

    Raises:
        NotCanonical: it is no JSON, is nested too deeply, or names a member of an object twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
        return normalised(value)
    except RecursionError:
        raise NotCanonical("It is nested too deeply.") from None
    except ValueError as error:  # JSON's and Unicode's errors are of this kind
        raise NotCanonical(f"It is no JSON: {error}") from None


def _is_plain(value: Any) -> bool:
    """Whether Python's own encoder spells a value as the scheme does.

    It spells very large and very small numbers with another exponent, and sorts the members of an object by code point
    and not by UTF-16's units, which differ from the surrogates on.
    """
    if isinstance(value, str) or value is None:
        return True
    if isinstance(value, int):
        return abs(value) <= _LARGEST_EXACT
    if isinstance(value, float):
        return _SHORTEST <= abs(value) < _LONGEST
    if isinstance(value, dict):
        return all(map(str.isascii, value)) and all(map(_is_plain, value.values()))
    return isinstance(value, list) and all(map(_is_plain, value))


def _number(value: float) -> int | float | str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if abs(value) > _LARGEST_EXACT:
        try:
            return float(value)
        except OverflowError:
            return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value == int(value) else value


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError("The members of a JSON object are named by text.")
    return name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("It names a member of an object twice.")
    return found


def _no_constant(constant: str) -> Any:
    raise NotCanonical(f"JSON has no {constant}.")
