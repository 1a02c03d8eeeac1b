"""What to say when a training took more memory or time than it may: which setting would help."""

from collections.abc import Mapping
from math import ceil

from services.generation.engines import ENGINES
from services.generation.engines.estimate import TableShape
from services.generation.engines.protocol import Failure, ModelSpec
from services.generation.training.spec import SamplingSpec, TrainingSpec

# An estimate is off by up to a factor of two; a suggestion is to work.
MARGIN = 1.5
LEAST_BATCH = 50
ROUND_MB = 100


def timed_out(spec: TrainingSpec | SamplingSpec) -> Failure:
    """Why a child was ended that took too long."""
    seconds = ceil(spec.time_limit_s)
    what = "fewer epochs or fewer columns" if isinstance(spec, TrainingSpec) else "fewer rows"
    message = f"The work took longer than the {seconds} seconds of REQUEST_TIMEOUT_SECONDS; {what} would take less."
    return Failure("JOB_TIMED_OUT", message, seconds=str(seconds))


def out_of_memory(spec: TrainingSpec | SamplingSpec, shape: TableShape | None) -> Failure:
    """Why a child was ended that took too much memory; `shape` is the table's, where it could be read."""
    limit = spec.memory_limit_mb or 0
    if isinstance(spec, SamplingSpec) or shape is None:
        helps, needed = "fewer columns", limit * 2
    else:
        helps, needed = _helpful(spec, shape), int(_estimated_mb(spec, shape, spec.parameters) * MARGIN)
    needed = max(ceil(needed / ROUND_MB), limit // ROUND_MB + 1) * ROUND_MB
    message = (
        f"The work took more than the {limit} MB of memory it may have. It would fit with {helps}, "
        f"or perhaps with TRAINING_MEMORY_LIMIT_MB={needed}."
    )
    return Failure("TRAINING_OUT_OF_MEMORY", message, limit_mb=str(limit), suggested_limit_mb=str(needed))


def _helpful(spec: TrainingSpec, shape: TableShape) -> str:
    """A smaller batch if that is enough, else leaving out the column that costs the most."""
    batch = spec.parameters.get("batch_size")
    if isinstance(batch, int):
        while (batch := batch // 2) >= LEAST_BATCH:
            parameters = {**spec.parameters, "batch_size": batch // 10 * 10}
            if _estimated_mb(spec, shape, parameters) * MARGIN <= (spec.memory_limit_mb or 0):
                return f"batch_size {parameters['batch_size']}"
    widest = max(shape.categories, key=lambda name: shape.categories[name], default=None)
    if widest is not None:
        rest = {name: count for name, count in shape.categories.items() if name != widest}
        without = shape.model_copy(update={"categories": rest})
        if _estimated_mb(spec, without, spec.parameters) * MARGIN <= (spec.memory_limit_mb or 0):
            return f"the column {widest!r} left out, which has {shape.categories[widest]} categories"
    return "fewer rows or columns"


def _estimated_mb(spec: TrainingSpec, shape: TableShape, parameters: Mapping[str, object]) -> float:
    model = ModelSpec(spec.model_type, parameters, spec.seed)
    return ENGINES[spec.engine].estimate(shape, model, spec.sample_size).memory_mb
