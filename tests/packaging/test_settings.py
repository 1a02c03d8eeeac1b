"""`.env.example` and the code know the same settings, with the same defaults."""

import importlib
import inspect
import re
from pathlib import Path

from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

ROOT = Path(__file__).resolve().parents[2]
_LINE = re.compile(r"^(# )?([A-Z][A-Z0-9_]+)=(\S*)")


def _settings_classes() -> set[type[BaseSettings]]:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for pattern in (
            "servicekit/settings.py",
            "services/*/settings.py",
            "gateway/settings.py",
            "deploy/*/settings.py",
        )
        for path in ROOT.glob(pattern)
    ]
    return {
        value
        for module in modules
        for value in vars(importlib.import_module(module)).values()
        if inspect.isclass(value) and issubclass(value, BaseSettings) and value is not BaseSettings
    }


def _in_code() -> dict[str, set[str]]:
    """Every setting's name and its defaults, as they would be written in the environment."""
    found: dict[str, set[str]] = {}
    for settings in _settings_classes():
        for name, field in settings.model_fields.items():
            defaults = found.setdefault(name.upper(), set())
            if field.default not in (PydanticUndefined, None, ""):
                defaults.add(_written(field.default))
    return found


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | set | frozenset):
        return ",".join(sorted(str(part) for part in value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sorted_list(value: str) -> str:
    return ",".join(sorted(value.split(",")))  # the order of a list doesn't matter in any setting


def _in_example() -> dict[str, tuple[bool, str]]:
    """Every setting in `.env.example`: whether it is commented out, and its value."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {match[2]: (bool(match[1]), _sorted_list(match[3])) for line in lines if (match := _LINE.match(line))}


def test_every_setting_is_documented() -> None:
    """No setting is missing from `.env.example`, and none there is unknown to the code."""
    assert set(_in_example()) == set(_in_code())


def test_defaults_are_the_codes() -> None:
    """What `.env.example` sets is what holds without it."""
    in_code = _in_code()
    wrong = {
        name: (value, in_code.get(name))
        for name, (commented, value) in _in_example().items()
        if not commented and value not in in_code.get(name, set())
    }
    assert wrong == {}
