"""What to say when a training took more memory or time than it may: which setting would help."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from services.generation.engines import ENGINES
from services.generation.engines.estimate import TableShape
from services.generation.engines.protocol import Failure, ModelSpec
from services.generation.training.spec import TrainingSpec, WorkSpec

# An estimate is off by up to a factor of two; a suggestion is to work.
MARGIN = 1.5
LEAST_BATCH = 50
LEAST_LAYER = 32
LEAST_ROWS = 100
MOST_COLUMNS = 3  # to be left out
MANY_CATEGORIES = 100
ROUND_MB = 100
# What a training takes at least is known better than what its table adds.
BASE_MARGIN = 1.1
_LAYERS = ("generator_dim", "discriminator_dim", "compress_dims", "decompress_dims")


@dataclass(frozen=True)
class Change:
    """What might be asked for instead: in words, and what it would come to."""

    words: str
    parameters: Mapping[str, object]  # those that change
    without: tuple[str, ...]  # columns that are left out
    shape: TableShape


def timed_out(spec: WorkSpec) -> Failure:
    """Why a child was ended that took too long."""
    seconds = ceil(spec.time_limit_s)
    what = "fewer epochs or fewer columns" if isinstance(spec, TrainingSpec) else "fewer rows"
    message = f"The work took longer than the {seconds} seconds of REQUEST_TIMEOUT_SECONDS; {what} would take less."
    return Failure("JOB_TIMED_OUT", message, seconds=str(seconds))


def out_of_memory(spec: WorkSpec, shape: TableShape | None) -> Failure:
    """Why a child was ended that took too much memory; `shape` is the table's, where it could be read.

    The failure's metadata hold, as JSON, the parameters (`suggested_parameters`) and the columns to leave out
    (`suggested_without`) with which it would fit, where a change of settings is enough.
    """
    limit = spec.memory_limit_mb or 0
    helps, needed, costly, metadata = "fewer columns", float(limit * 2), "", {}
    if isinstance(spec, TrainingSpec) and shape is not None:
        change = next((change for change in _changes(spec, shape) if _fits(spec, shape, change)), None)
        helps = change.words if change else "fewer rows and columns"
        if change:
            metadata["suggested_parameters"] = json.dumps(dict(change.parameters))
            metadata["suggested_without"] = json.dumps(list(change.without), ensure_ascii=False)
        needed = _estimated_mb(spec, shape, spec.parameters) * MARGIN
        costly = _costly(shape, change)
    rounded = max(ceil(needed / ROUND_MB), limit // ROUND_MB + 1) * ROUND_MB
    message = (
        f"The work took more than the {limit} MB of memory it may have. It would fit with {helps}, "
        f"or perhaps with TRAINING_MEMORY_LIMIT_MB={rounded}.{costly}"
    )
    return Failure("TRAINING_OUT_OF_MEMORY", message, limit_mb=str(limit), suggested_limit_mb=str(rounded), **metadata)


def _changes(spec: TrainingSpec, shape: TableShape) -> Iterator[Change]:
    """What might be changed, what changes the result the least first."""
    batches, layers = list(_smaller_batches(spec)), list(_smaller_layers(spec))
    for parameters in (*batches, *layers, *(batch | smaller for batch in batches[-1:] for smaller in layers)):
        yield Change(_named(parameters), parameters, (), shape)
    smallest = (batches[-1] if batches else {}) | (layers[-1] if layers else {})
    for parameters in ({}, smallest) if smallest else ({},):
        for without, rest in _fewer_columns(shape):
            left_out = _left_out(shape, without)
            words = f"{_named(parameters)} and {left_out}" if parameters else left_out
            yield Change(words, parameters, without, rest)
    rows = shape.rows // 2
    while rows >= LEAST_ROWS:
        words = f"at most {rows} rows" + (f" and {_named(smallest)}" if smallest else "")
        yield Change(words, smallest, (), shape.model_copy(update={"rows": rows}))
        rows //= 2


def _smaller_batches(spec: TrainingSpec) -> Iterator[dict[str, object]]:
    batch, pac = spec.parameters.get("batch_size"), spec.parameters.get("pac", 10)
    if not isinstance(batch, int) or not isinstance(pac, int):
        return
    multiple = pac if pac % 2 == 0 else 2 * pac  # whole packs, and an even number of rows
    while (batch := batch // 2) >= LEAST_BATCH:
        if (whole := batch // multiple * multiple) > 0:
            yield {"batch_size": whole}


def _smaller_layers(spec: TrainingSpec) -> Iterator[dict[str, object]]:
    dims: dict[str, list[int]] = {}
    for name in _LAYERS:
        if isinstance(value := spec.parameters.get(name), list):
            dims[name] = [layer for layer in value if isinstance(layer, int)]
    while dims and max(max(layers, default=0) for layers in dims.values()) > LEAST_LAYER:
        dims = {name: [max(LEAST_LAYER, layer // 2) for layer in layers] for name, layers in dims.items()}
        yield dict(dims)


def _fewer_columns(shape: TableShape) -> Iterator[tuple[tuple[str, ...], TableShape]]:
    """The columns with the most categories left out, ever more of them."""
    widest = sorted(shape.categories, key=lambda name: shape.categories[name], reverse=True)
    for number in range(1, min(MOST_COLUMNS, len(widest)) + 1):
        without = tuple(widest[:number])
        rest = {name: count for name, count in shape.categories.items() if name not in without}
        if rest or shape.numbers:
            yield without, shape.model_copy(update={"categories": rest})


def _fits(spec: TrainingSpec, shape: TableShape, change: Change) -> bool:
    """Whether a change would surely be enough, after what is known: that as it is, the limit was passed."""
    least = TableShape(rows=1, numbers=1, categories={})
    base = _estimated_mb(spec, least, spec.parameters | {"batch_size": LEAST_BATCH})
    limit = spec.memory_limit_mb or 0
    as_it_is = max(1.0, _estimated_mb(spec, shape, spec.parameters) - base)
    too_low = max(1.0, (limit - base) / as_it_is)  # how far the estimate was below what was seen
    changed = _estimated_mb(spec, change.shape, {**spec.parameters, **change.parameters}) - base
    return base * BASE_MARGIN + changed * too_low * MARGIN <= limit


def _named(parameters: Mapping[str, object]) -> str:
    return " and ".join(f"{name} {value}" for name, value in parameters.items())


def _left_out(shape: TableShape, without: tuple[str, ...]) -> str:
    if len(without) == 1:
        return f"the column {without[0]!r} left out, which has {shape.categories[without[0]]} categories"
    named = ", ".join(f"{name!r} ({shape.categories[name]} categories)" for name in without)
    return f"the columns {named} left out"


def _costly(shape: TableShape, change: Change | None) -> str:
    """Names the column that costs the most, where that stands out and isn't said already."""
    widest = max(shape.categories, key=lambda name: shape.categories[name], default=None)
    if widest is None or shape.categories[widest] < MANY_CATEGORIES or (change and widest in change.without):
        return ""
    return f" The column {widest!r} takes the most, with its {shape.categories[widest]} categories."


def _estimated_mb(spec: TrainingSpec, shape: TableShape, parameters: Mapping[str, object]) -> float:
    model = ModelSpec(spec.model_type, parameters, spec.seed)
    return ENGINES[spec.engine].estimate(shape, model, spec.sample_size).memory_mb
