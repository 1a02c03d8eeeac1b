"""A GAN's parameters and settings, as the generation service tells them."""

from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis

from services.optimizer.search import Goal, InvalidSearch, ParameterInfo, SearchSettings, Space, parse_space

CTGAN = (
    ParameterInfo("epochs", "integer", 10, 500, default=100),
    ParameterInfo("batch_size", "integer", 2, 100_000, default=500),
    ParameterInfo("generator_dim", "integers", 1, 4096, default=[256, 256]),
    ParameterInfo("discriminator_dim", "integers", 1, 4096, default=[256, 256]),
    ParameterInfo("generator_lr", "number", 1e-7, 1.0, default=2e-4),
    ParameterInfo("discriminator_lr", "number", 1e-7, 1.0, default=2e-4),
    ParameterInfo("learning_rate", "number", 1e-7, 1.0),
    ParameterInfo("discriminator_steps", "integer", 1, 100, default=1),
    ParameterInfo("log_frequency", "boolean", default=True),
    ParameterInfo("pac", "integer", 1, 100, default=10),
)
TVAE = (
    ParameterInfo("epochs", "integer", 10, 500, default=100),
    ParameterInfo("batch_size", "integer", 2, 100_000, default=500),
    ParameterInfo("learning_rate", "number", 1e-7, 1.0, default=1e-3),
    ParameterInfo("l2scale", "number", 0.0, 1.0, default=1e-5),
)
COPULA = (ParameterInfo("default_distribution", "string", choices=("norm", "beta", "gamma"), default="beta"),)

# How a property is tried: often enough, and without a say in how fast the machine is.
property_test = hypothesis.settings(max_examples=60, deadline=None)

# The example of the HTTP interface.
EXAMPLE: Mapping[str, Any] = {"epochs": [50, 200], "batch_size": [100, 1000], "learning_rate": [1e-4, 1e-2]}


def space(
    raw: Mapping[str, Any] = EXAMPLE,
    parameters: Sequence[ParameterInfo] = CTGAN,
    rows: int | None = None,
    fixed: Mapping[str, object] | None = None,
) -> Space:
    """A checked space."""
    return parse_space(raw, parameters, rows=rows, fixed=fixed)


def faults(
    raw: Mapping[str, Any], parameters: Sequence[ParameterInfo] = CTGAN, rows: int | None = None
) -> list[tuple[str, str]]:
    """What is wrong with a space, as pairs of field and description; none if nothing is."""
    try:
        parse_space(raw, parameters, rows=rows)
    except InvalidSearch as error:
        return [(fault.field, fault.description) for fault in error.faults]
    return []


def settings(method: str, n_trials: int = 20, seed: int = 42, **given: Any) -> SearchSettings:
    """Settings of a search for the best quality score, unless another goal is given."""
    return SearchSettings(method, n_trials, seed, **{"goal": Goal(), **given})
