"""A model type's parameters as the generation service tells them, in plain Python."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The two rates of a GAN, and the one name that sets both.
LEARNING_RATE = "learning_rate"
GAN_LEARNING_RATES = ("generator_lr", "discriminator_lr")

EPOCHS = "epochs"
BATCH_SIZE = "batch_size"
PAC = "pac"


@dataclass(frozen=True)
class ParameterInfo:
    """A parameter of a model type.

    `type` is `integer`, `number`, `boolean`, `string` or `integers` (a list). Of a list, `minimum` and `maximum` are
    its items'. `default` is what is in force if nothing is given; `choices` are a string's only values, if there are.
    """

    name: str
    type: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    default: Any = None


def in_force(name: str, parameters: Mapping[str, ParameterInfo], fixed: Mapping[str, object]) -> int | None:
    """The whole number that an unsearched parameter has: the given one, else its default; None if there is none."""
    value = fixed.get(name, parameters[name].default if name in parameters else None)
    whole = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    return int(value) if whole and isinstance(value, int | float) else None
