"""Values that are given as NAME=VALUE."""

import json
from collections.abc import Iterable
from typing import Any

from mirage.errors import InvalidRequest


def assignments(option: str, given: Iterable[str] | None) -> dict[str, str]:
    """Returns names and values, as text.

    Raises:
        InvalidRequest: if one isn't NAME=VALUE, or a name comes twice.
    """
    values: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"{option} {text}: not of the form NAME=VALUE.", reason="INVALID_OPTION")
        if name in values:
            raise InvalidRequest(f"{option}: {name} is given twice.", reason="INVALID_OPTION")
        values[name] = value
    return values


def parsed(option: str, given: Iterable[str] | None) -> dict[str, Any]:
    """Returns names and values: what is JSON (numbers, true, false, null, lists) as that, everything else as text.

    Raises:
        InvalidRequest: if one isn't NAME=VALUE, or a name comes twice.
    """
    return {name: _value(text) for name, text in assignments(option, given).items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
