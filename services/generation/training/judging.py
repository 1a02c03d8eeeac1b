"""Judging a table, in a child process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import JsonValue

from services.generation.engines.protocol import Failure, Progress, Stage
from services.generation.quality.encode import encode
from services.generation.quality.evaluate import evaluate
from services.generation.quality.report import QualityReport
from services.generation.quality.tables import Comparison
from services.generation.quality.unseen import share_seen
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.holdout import LEAST_ROWS, held_out, holdout_row_count, strata
from services.generation.tables.values import parse_value
from services.generation.training.events import Evaluated, Event, Progressed
from services.generation.training.spec import EvaluationSpec, Split

# With fewer real rows of the values that a request fixes there is nothing to compare with.
LEAST_MATCHING_ROWS = 50


def judge(spec: EvaluationSpec, tell: Callable[[Event], None], called_off: Callable[[], bool]) -> None:
    """Judges a table and writes the report.

    Raises Failure (`TABLE_NOT_COMPARABLE`, `COLUMN_NOT_COMPARED`, `TOO_FEW_ROWS_TO_COMPARE`, `HOLDOUT_NOT_UNSEEN`) and
    Cancelled.
    """
    names = [column.name for column in (*spec.columns, *(spec.split.columns if spec.split else ()))]
    training = _read(spec.training, names)
    holdout = None if spec.holdout is None else _read(spec.holdout, names)
    notes, stratified_by = list(spec.notes), ""
    if spec.split is not None:
        if holdout is None:
            notes.extend(_about_split(len(training), spec.split))
        held = held_out(training, spec.split.columns, spec.split.fraction, spec.split.seed)
        if holdout is None:
            holdout, stratified_by = training.filter(pa.array(held)), strata(training, spec.split.columns).column
        training = training.filter(pa.array(~held))
    synthetic = _read(spec.synthetic, names)
    rows = len(synthetic)

    def progress(fraction: float) -> None:
        whole = spec.begun + (1 - spec.begun) * fraction
        tell(Progressed(progress=Progress(Stage.EVALUATING, rows_sampled=rows, rows=rows, fraction=whole)))

    progress(0.0)
    columns = spec.columns
    if spec.conditions:
        training = _matching(training, spec.conditions)
        holdout = None if holdout is None else _matching(holdout, spec.conditions)
        columns = _free(columns, spec.conditions)
        notes.append(_about_conditions(training, spec.conditions))
    comparison = encode(
        training,
        holdout if holdout is not None and len(holdout) else None,
        synthetic,
        columns,
        target=spec.target,
        sensitive=[name for name in spec.sensitive if name not in spec.conditions],
        seed=spec.seed,
        stratified_by=stratified_by,
    )
    del training, holdout, synthetic
    if spec.holdout is not None:
        _refuse_seen(comparison)
    report = evaluate(comparison, called_off=called_off, progress=progress)
    document = report.model_copy(update={"notes": (*notes, *report.notes)}).model_dump_json()
    QualityReport.model_validate_json(document)  # what can't be read again must not be kept
    spec.output.write_text(document)
    tell(Evaluated())


def _read(path: Path, names: Sequence[str]) -> pa.Table:
    """The wanted columns of a file, those that it has."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=[name for name in file.schema_arrow.names if name in names])


def _about_split(rows: int, split: Split) -> Iterator[str]:
    """Why no rows were kept from training, if none were: the reader should know what would have to be different."""
    if holdout_row_count(rows, split.fraction):
        return
    if split.fraction == 0:
        yield (
            "No rows were kept from training, since holdout_fraction is 0: nothing that takes real rows which the "
            "generator has never seen could be measured, privacy and the usefulness for machine learning above all."
        )
    elif rows < LEAST_ROWS:
        yield (
            f"No rows were kept from training, since the table has only {rows}, and it takes {LEAST_ROWS}: nothing "
            "that takes real rows which the generator has never seen could be measured, privacy and the usefulness "
            "for machine learning above all. To measure them, judge the table on request with other real rows."
        )


def _refuse_seen(comparison: Comparison) -> None:
    """Refuses rows given as never seen that are among those trained on: they would make a leak look usual."""
    if comparison.holdout is None:
        return
    share = share_seen(comparison.training, comparison.holdout)
    if share:
        message = (
            f"{share:.1%} of the rows given as never seen equal a row of the real table that is the only one of its "
            "kind, more than chance would make. Give rows that aren't in the real table."
        )
        raise Failure("HOLDOUT_NOT_UNSEEN", message)


def _matching(table: pa.Table, conditions: Mapping[str, JsonValue]) -> pa.Table:
    """The real rows that have the values which every synthetic row has."""
    for name, value in conditions.items():
        column = table[name]
        if value is None:
            table = table.filter(column.is_null())
        else:
            table = table.filter(pc.equal(column, parse_value(value, column.type)[0]))
    return table


def _free(columns: tuple[ColumnSpec, ...], conditions: Mapping[str, JsonValue]) -> tuple[ColumnSpec, ...]:
    """The columns that aren't fixed."""
    free = tuple(column for column in columns if column.name not in conditions)
    if not free:
        raise Failure("TABLE_NOT_COMPARABLE", "Every column is fixed to one value, so there is nothing to compare.")
    return free


def _about_conditions(training: pa.Table, conditions: Mapping[str, JsonValue]) -> str:
    """What is to be known of a table whose rows were made under conditions."""
    fixed = ", ".join(repr(name) for name in conditions)
    rows = len(training)
    if rows < LEAST_MATCHING_ROWS:
        message = (
            f"Of the real rows trained on {rows} have the values that the request fixes in {fixed}; "
            f"a comparison takes at least {LEAST_MATCHING_ROWS}."
        )
        raise Failure("TOO_FEW_ROWS_TO_COMPARE", message, rows=str(rows))
    return (
        f"Every row was to have the given values of {fixed}. So the table was compared with the real rows that have "
        f"them too, {rows} of those trained on, by the other columns."
    )
