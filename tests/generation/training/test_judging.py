"""What judging a table says of the rows that the generator has never seen."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servicekit.column_types import ColumnRole, ColumnType
from services.generation.engines.protocol import Failure
from services.generation.quality.parts import never
from services.generation.quality.report import PartName, QualityReport
from services.generation.tables.columns import ColumnSpec
from services.generation.training.judging import judge
from services.generation.training.spec import EvaluationSpec, Split

COLUMNS = tuple(
    ColumnSpec(name=name, type=type_, role=ColumnRole.FEATURE)
    for name, type_ in {"age": ColumnType.INTEGER, "income": ColumnType.FLOAT, "ill": ColumnType.BOOLEAN}.items()
)


def people(rows: int, seed: int) -> pa.Table:
    """So many people."""
    draws = np.random.default_rng(seed)
    age = draws.integers(18, 90, rows)
    return pa.table(
        {"age": age, "income": age * 40 + draws.normal(0, 150, rows), "ill": draws.random(rows) < age / 100}
    )


def report_on(
    folder: Path,
    real: pa.Table,
    fraction: float | None,
    holdout: pa.Table | None = None,
    made: pa.Table | None = None,
) -> QualityReport:
    """The report on a table that was made of a real one, of which some rows may have been kept from training."""
    tables = {"real": real, "made": made or people(60, seed=9)} | ({"unseen": holdout} if holdout else {})
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    spec = EvaluationSpec(
        output=folder / "report.json",
        training=folder / "real.parquet",
        synthetic=folder / "made.parquet",
        holdout=folder / "unseen.parquet" if holdout else None,
        columns=COLUMNS,
        split=None if fraction is None else Split(fraction=fraction, seed=1, columns=COLUMNS),
        seed=1,
    )
    judge(spec, lambda _: None, never)
    return QualityReport.model_validate_json(spec.output.read_text())


@pytest.mark.parametrize(
    ("rows", "fraction", "why"), [(150, 0.1, "has only 150, and it takes 200"), (210, 0.0, "holdout_fraction is 0")]
)
def test_why_nothing_was_kept(tmp_path: Path, rows: int, fraction: float, why: str) -> None:
    """A job's report says why no rows were kept from training, and what isn't in the score for that."""
    report = report_on(tmp_path, people(rows, 1), fraction)
    assert why in report.notes[0]
    assert "privacy and the usefulness for machine learning" in report.notes[0]
    weights = {part.name: part.weight for part in report.parts}
    assert [name for name in PartName if weights[name] == 0] == [PartName.ML_EFFICACY, PartName.PRIVACY]
    assert all(part.reason for part in report.parts if not part.weight)
    assert any("score is without usefulness for machine learning and privacy" in note for note in report.notes)
    assert any("and privacy couldn't be measured" in finding.text for finding in report.findings)


def test_rows_kept_need_no_excuse(tmp_path: Path) -> None:
    """Where rows were kept, nothing is said of why not."""
    report = report_on(tmp_path, people(250, 1), 0.2)
    assert report.rows.holdout == 50
    assert not any("kept from training" in note for note in report.notes)
    assert any("ceilings come from 50 real rows" in note for note in report.notes)


def test_groups_are_drawn_as_the_rows_kept(tmp_path: Path) -> None:
    """Rows kept are like all others in what they were stratified by; so are groups of rows that are judged by them."""
    real = people(400, 1)
    report = report_on(tmp_path, real, 0.1, made=real)
    shares = next(each for each in report.parts[0].metrics if each.name == "total_variation_complement")
    (ill,) = shares.details
    assert ill.figure.ceiling is not None
    assert ill.figure.ceiling > 0.98
    assert ill.figure.value > ill.figure.ceiling - 0.02


def test_rows_that_are_no_strangers(tmp_path: Path) -> None:
    """Rows given as never seen that are in the real table are refused, for with them every leak would look usual."""
    real = people(100, 1)
    with pytest.raises(Failure, match=r"100.0% of the rows given as never seen") as refusal:
        report_on(tmp_path, real, None, real.slice(10, 40))
    assert refusal.value.reason == "HOLDOUT_NOT_UNSEEN"
    assert report_on(tmp_path, real, None, people(40, 2)).rows.holdout == 40
