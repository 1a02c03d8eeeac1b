"""A search space for those who name none: what matters most of a model type, around its defaults."""

from collections.abc import Collection, Mapping
from typing import Any

from services.optimizer.trial_client import TableFacts

_WIDER = 2  # epochs and batches: from half the default to twice of it
_RATES_WIDER = 10  # learning rates: a decade to each side
_GAN_RATES = frozenset({"generator_lr", "discriminator_lr"})
_BOTH_RATES = "learning_rate"
_NETWORKS = ([128, 128], [256, 256], [512, 512])
_DIMENSIONS = frozenset({"generator_dim", "discriminator_dim", "compress_dims", "decompress_dims"})


def suitable_space(facts: TableFacts, given: Collection[str] = ()) -> dict[str, Any]:
    """The search space of a model type: epochs, batch size, learning rate, layers, and every choice between words.

    Parameters that are `given` beside the search are not searched: every trial has them.
    """
    table = {parameter["name"]: parameter for parameter in facts.parameters}
    rates = {_BOTH_RATES} if _BOTH_RATES in table else _GAN_RATES
    space: dict[str, Any] = {}
    for name, parameter in table.items():
        if name in ("epochs", "batch_size"):
            space[name] = _around(parameter, _WIDER, whole=True)
        elif name in rates:
            space[name] = _around(parameter, _RATES_WIDER, whole=False)
        elif name in _DIMENSIONS:
            space[name] = {"choices": [list(network) for network in _NETWORKS]}
        elif parameter["type"] == "string" and len(parameter["choices"]) > 1:
            space[name] = {"choices": list(parameter["choices"])}
        elif parameter["type"] == "boolean":
            space[name] = {"choices": [False, True]}
    fixed = {*given, *(_GAN_RATES if _BOTH_RATES in given else ()), *((_BOTH_RATES,) if _GAN_RATES & {*given} else ())}
    return {name: entry for name, entry in space.items() if entry is not None and name not in fixed}


def _around(parameter: Mapping[str, Any], factor: int, *, whole: bool) -> list[float] | None:
    """A range around the default, within the parameter's limits; None where there is none to speak of."""
    default, low, high = parameter["default"], parameter["minimum"], parameter["maximum"]
    if isinstance(default, bool) or not isinstance(default, int | float) or default <= 0:
        return None
    first = max(default / factor, default / factor if low is None else low)
    last = min(default * factor, default * factor if high is None else high)
    bounds: list[float] = [round(first), round(last)] if whole else [first, last]
    return bounds if bounds[0] < bounds[1] else None
