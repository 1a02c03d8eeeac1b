"""Mirage's own models (`mirage_engine`, see docs/engine.md)."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from services.generation.engines.estimate import Estimate, TableShape
from services.generation.engines.parameters import AutoregressiveParameters, EmpiricalCopulaParameters
from services.generation.engines.protocol import Cancelled, Failure, ModelSpec, ModelType, Progress, Report, Stage

if TYPE_CHECKING:
    from mirage_engine.models import Model as MirageEngineModel
    from mirage_engine.progress import Event, Listener

FILE = "model.mirage"
MODULES = ("mirage_engine", "torch._dynamo")  # the latter every torch optimizer imports when it is first made
DISTRIBUTIONS = ("torch", "numpy", "pyarrow", "safetensors")

MEBIBYTE = 1 << 20
LIBRARIES_MB = 450.0
# What a digit of a row costs in an epoch and when it is drawn: on one thread, of a processor without bfloat16.
TRAINING_S, DRAWING_S = 8e-6, 1.5e-6
STEP_S = 0.01
# What a Gaussian copula takes for a cell of the table, a pair of columns, a category, and a cell that is drawn.
COUNTING_S, PAIR_S, LEVEL_S, COPULA_DRAWING_S = 1e-6, 1e-3, 1e-4, 4e-7
# Early stopping ends most trainings by then.
LIKELY_EPOCHS = 30
# Numbers may need two digits.
DIGITS_PER_NUMBER = 2


class MirageEngine:
    """Fits Mirage's own models, seeded, one model at a time in a process."""

    name = "mirage"
    model_types: Mapping[str, ModelType] = {
        "autoregressive": ModelType(AutoregressiveParameters, scored_while_training=True),
        "gaussian_copula": ModelType(EmpiricalCopulaParameters),
    }

    def warm_up(self) -> None:
        """Imports what fitting needs, some seconds' worth."""
        for module in MODULES:
            import_module(module)

    def versions(self) -> Mapping[str, str]:
        """The versions of what computes beneath the models."""
        return {name: version(name) for name in DISTRIBUTIONS}

    def estimate(self, table: TableShape, spec: ModelSpec, rows: int) -> Estimate:
        """What fitting and drawing would take, on one thread, if training stops as early as it mostly does."""
        read_mb = table.rows * (table.numbers + len(table.categories)) * 30 / MEBIBYTE
        if spec.model_type == "gaussian_copula":
            return _estimate_of_copula(table, rows, read_mb)
        digits = DIGITS_PER_NUMBER * table.numbers + len(table.categories)
        epochs = min(int(str(spec.parameters["epochs"])), LIKELY_EPOCHS)
        training_s = epochs * (table.rows * digits * TRAINING_S + STEP_S)
        weights_mb = (500 * digits + sum(table.categories.values())) * 256 * 4 * 6 / MEBIBYTE
        return Estimate(2.0 + training_s + rows * digits * DRAWING_S, LIBRARIES_MB + weights_mb + read_mb)

    def fit(self, table: pa.Table, spec: ModelSpec, report: Report) -> "MirageModel":
        """Fits a model. The same table, spec and number of threads give the same model on the same processor."""
        import mirage_engine

        # Codes have no neighbours and no label: which categories are too rare is for whoever knows their names.
        codec = mirage_engine.CodecSettings(rare_levels="keep")
        source, listener = _with_categories(table), _telling_of_training(report, table.schema)
        model: MirageEngineModel
        try:
            if spec.model_type == "gaussian_copula":
                report(Progress(Stage.TRAINING))
                copula = mirage_engine.GaussianCopulaSettings(**spec.parameters)  # type: ignore[arg-type]  # checked by name
                model = mirage_engine.fit(source, copula, codec, seed=spec.seed, listener=listener)
            else:
                settings = mirage_engine.AutoregressiveSettings(**spec.parameters)  # type: ignore[arg-type]  # checked by name
                report(Progress(Stage.TRAINING, epoch=0, epochs=settings.epochs))
                model = mirage_engine.fit(source, settings, codec, seed=spec.seed, listener=listener)
        except mirage_engine.TrainingDiverged as error:
            raise Failure("TRAINING_DIVERGED", "The training diverged; a lower learning rate may help.") from error
        except mirage_engine.Cancelled as error:
            raise Cancelled from error
        return MirageModel(model, table.schema)

    def load(self, directory: Path) -> "MirageModel":
        """Reads what `MirageModel.save` wrote; nothing in it is code."""
        import mirage_engine

        model = mirage_engine.load(directory / FILE)
        kinds = [
            pa.field(field.name, field.type if pa.types.is_floating(field.type) else pa.int32())
            for field in model.schema
        ]
        return MirageModel(model, pa.schema(kinds))


class MirageModel:
    """A fitted model of Mirage's own; `schema` is the learned table's."""

    def __init__(self, model: "MirageEngineModel", schema: pa.Schema) -> None:
        self._model = model
        self._schema = schema

    def save(self, directory: Path) -> None:
        """Writes one file."""
        self._model.save(directory / FILE)

    def sample(self, rows: int, seed: int, conditions: Mapping[str, float | int], report: Report) -> Iterator[pa.Table]:
        """Draws rows in batches; under conditions they are drawn as they follow from these, none is thrown away."""
        import mirage_engine

        wanted = {
            name: value if pa.types.is_floating(self._schema.field(name).type) else str(value)
            for name, value in conditions.items()
        }
        try:
            batches = self._model.sample(rows, seed, wanted)
        except mirage_engine.ConditionsRefused as error:
            names = ", ".join(error.problems)
            raise Failure(
                "CONDITION_TOO_RARE", f"No row that the model can make meets the conditions on {names}.", columns=names
            ) from error
        done = 0
        for batch in batches:
            if report.cancelled():
                raise Cancelled
            yield pa.Table.from_batches([batch]).cast(self._schema)
            done += batch.num_rows
            report(Progress(Stage.SAMPLING, rows_sampled=done, rows=rows))


def _estimate_of_copula(table: TableShape, rows: int, read_mb: float) -> Estimate:
    """What a Gaussian copula takes: categories are put in order, then rows are counted once, and pairs of columns."""
    columns = table.numbers + len(table.categories)
    fitting_s = table.rows * columns * COUNTING_S + columns**2 * PAIR_S + sum(table.categories.values()) * LEVEL_S
    pairs_mb = 8 * columns**2 * 8 / MEBIBYTE
    return Estimate(1.0 + fitting_s + rows * columns * COPULA_DRAWING_S, LIBRARIES_MB + read_mb + pairs_mb)


def _with_categories(table: pa.Table) -> pa.Table:
    """Codes as texts, since whole numbers would be learnt as numbers."""
    kinds = [field if pa.types.is_floating(field.type) else pa.field(field.name, pa.string()) for field in table.schema]
    return table.cast(pa.schema(kinds))


def _telling_of_training(report: Report, schema: pa.Schema) -> "Listener":
    from mirage_engine import Cancelled as CalledOff
    from mirage_engine.progress import Epoch

    def listen(event: "Event") -> None:
        if report.cancelled():
            raise CalledOff
        if isinstance(event, Epoch):
            losses = {"loss": event.loss}
            if event.held_out_loss is not None:
                losses["held_out"] = event.held_out_loss
            draw = event.draw
            scores = report.scores(event.epoch, lambda rows, seed: draw(rows, seed).cast(schema))
            report(Progress(Stage.TRAINING, epoch=event.epoch, epochs=event.epochs, losses=losses, scores=scores))

    return listen
