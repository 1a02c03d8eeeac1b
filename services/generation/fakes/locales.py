"""Faker's locales: the nearest that there is, its country, and what its providers know."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from faker.config import AVAILABLE_LOCALES
from faker.factory import Factory
from faker.generator import Generator

from services.generation.fakes.any_day import Birthdays
from services.generation.fakes.kinds import DEFAULT_LOCALE

_PREFERRED: Final = {"en": "en_US", "fr": "fr_FR", "de": "de_DE", "es": "es_ES", "it": "it_IT", "pt": "pt_PT"}
_PROVIDERS: Final = ("person", "address", "phone_number", "ssn", "bank", "date_time")


def nearest(locale: str) -> str:
    """The locale itself, else one of its language, else US English."""
    name = locale.replace("-", "_")
    if name in AVAILABLE_LOCALES:
        return name
    language = name.split("_", maxsplit=1)[0].lower()
    if language in _PREFERRED:
        return _PREFERRED[language]
    return next((known for known in sorted(AVAILABLE_LOCALES) if known.split("_")[0] == language), DEFAULT_LOCALE)


def country(locale: str) -> str:
    """The country's two letters; empty for a locale that names none."""
    return nearest(locale).partition("_")[2]


@cache
def unseeded(locale: str) -> Generator:
    """Faker for a locale that `nearest` gave, for what it knows; only `seeded` may draw from it."""
    generator = Factory.create(locale, providers=[f"faker.providers.{name}" for name in _PROVIDERS])
    generator.add_provider(Birthdays)  # in place of what the providers above have of the same name
    return generator


def seeded(locale: str, draws: np.random.Generator) -> Any:
    """Faker for a locale, in a state that the draws determine. What it can is its providers', which it doesn't type."""
    generator = unseeded(nearest(locale))
    generator.seed_instance(int(draws.integers(2**63)))
    return generator


def known(generator: Any, provider: str, name: str) -> Any:
    """Something that a provider of the generator holds; None if it has nothing of the name."""
    for each in generator.get_providers():
        if each.__provider__ == f"faker.providers.{provider}":
            return getattr(each, name, None)
    return None


def plain(values: Sequence[str] | Mapping[str, float] | None) -> list[str]:
    """A provider's values, with or without weights, each once.

    Sorted, for some come in another order in every process.
    """
    return sorted(dict.fromkeys(values or ()))
