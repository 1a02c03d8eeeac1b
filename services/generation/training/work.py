"""The work itself, as plain functions: a child process runs them, and so may any other kind of executor."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from services.generation.engines import ENGINES
from services.generation.engines.estimate import TableShape
from services.generation.engines.protocol import ModelSpec, Progress, Stage
from services.generation.tables.categories import Category
from services.generation.tables.holdout import held_out
from services.generation.tables.prepare import Prepared, prepare
from services.generation.training.events import Event, Progressed, Read, Sampled, ScoringBroke, Trained, trace_of
from services.generation.training.pace import Pace
from services.generation.training.scoring import RealRows, Scorer
from services.generation.training.spec import MODEL_FILE, TABLE_FILE, SamplingSpec, TrainingSpec, TrainingSummary
from services.generation.training.table_model import TableModel, sha256_of

Tell = Callable[[Event], None]
ROWS_PER_GROUP = 65_536


def train(spec: TrainingSpec, tell: Tell, called_off: Callable[[], bool]) -> None:
    """Fits a model to a table, keeps it, and draws rows from it. Raises Failure and Cancelled."""
    pace = Pace(spec.sample_size, lambda progress: tell(Progressed(progress=progress)), called_off)
    pace(Progress(Stage.PREPARING))
    prepared, held, real = _prepared(spec)
    tell(Read(shape=_shape(prepared)))
    prepared.plan.conditions(spec.conditions)  # so that what is wrong with them is known before the training
    model_spec = ModelSpec(spec.model_type, spec.parameters, spec.seed)
    scorer = None
    if spec.scoring is not None and real is not None:

        def on_broken(error: Exception) -> None:
            tell(ScoringBroke(error=type(error).__qualname__, trace=trace_of(error)))

        scorer = Scorer(spec.scoring, real, spec.columns, spec.seed, called_off, on_broken)
    model = TableModel.fit(spec.engine, prepared, model_spec, pace, _key(spec), scorer)
    model_path = spec.directory / MODEL_FILE
    model.save(model_path)
    pace(Progress(Stage.SAMPLING, rows=spec.sample_size))
    table_path = spec.directory / TABLE_FILE
    _write(table_path, model.sample(spec.sample_size, spec.seed, spec.conditions, pace), model.plan.source_schema)
    summary = TrainingSummary(
        table_path=table_path,
        table_sha256=sha256_of(table_path),
        table_bytes=table_path.stat().st_size,
        rows=spec.sample_size,
        columns=tuple(model.plan.source_schema.names),
        model_path=model_path,
        model_sha256=sha256_of(model_path),
        model_bytes=model_path.stat().st_size,
        source_sha256=sha256_of(spec.table),
        training_rows=model.training_rows,
        holdout_rows=held,
        seconds=pace.seconds(),
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        versions={**ENGINES[spec.engine].versions(), "pyarrow": pa.__version__},
    )
    tell(Trained(summary=summary))


def sample(spec: SamplingSpec, tell: Tell, called_off: Callable[[], bool], output: BinaryIO) -> None:
    """Draws rows from a model file into an Arrow IPC stream. Raises Failure and Cancelled."""
    pace = Pace(spec.rows, lambda progress: tell(Progressed(progress=progress)), called_off)
    model = TableModel.load(spec.model, _key(spec))
    batches = model.sample(spec.rows, spec.seed, spec.conditions, pace)
    first = next(batches)
    with pa.ipc.new_stream(output, model.plan.source_schema) as writer:
        writer.write_table(first)
        for batch in batches:
            writer.write_table(batch)
    tell(Sampled())


def _key(spec: TrainingSpec | SamplingSpec) -> bytes:
    return bytes.fromhex(spec.protection_key)


def _prepared(spec: TrainingSpec) -> tuple[Prepared, int, RealRows | None]:
    """The learned table, how many rows were held out, and what to judge rows by on the way, if they are to be."""
    present = pq.read_schema(spec.table).names
    wanted = {column.name for column in spec.columns}
    table = pq.read_table(spec.table, columns=[name for name in present if name in wanted])
    held = held_out(table, spec.columns, spec.holdout_fraction, spec.seed)
    kind = ENGINES[spec.engine].model_types[spec.model_type]
    limit = kind.category_limit
    prepared = prepare(table, spec.columns, held_out=held, seed=spec.seed, category_limit=limit, key=_key(spec))
    scored = spec.scoring is not None and kind.scored_while_training
    real = RealRows.drawn(table, spec.columns, held, spec.seed) if scored else None
    return prepared, int(held.sum()), real


def _shape(prepared: Prepared) -> TableShape:
    makers = {column.name: column.maker for column in prepared.plan.columns}
    categories = {name: maker.codes for name, maker in makers.items() if isinstance(maker, Category)}
    numbers = sum(pa.types.is_floating(field.type) for field in prepared.learned.schema)
    return TableShape(rows=prepared.rows, numbers=numbers, categories=categories)


def _write(path: Path, batches: Iterator[pa.Table], schema: pa.Schema) -> None:
    """Writes batches as they come, in row groups worth their overhead."""
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for batch in batches:
            waiting.append(batch)
            if sum(map(len, waiting)) >= ROWS_PER_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
