"""What models learn from synthetic rows."""

import numpy as np
import pytest

from services.generation.engines.protocol import Cancelled
from services.generation.quality.ml_efficacy import measure
from services.generation.quality.ml_efficacy import models as gradient_boosting
from services.generation.quality.parts import Measured, never
from services.generation.quality.report import Metric
from services.generation.quality.tables import Column, Kind, Table
from tests.generation.quality.people import compared, people, shuffled

TRAINING = people(1_500, seed=1)
HOLDOUT = people(600, seed=2)
UNSEEN = people(1_500, seed=3)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough to tell good from bad, and quick."""
    monkeypatch.setattr(gradient_boosting, "MOST_TREES", 20)
    monkeypatch.setattr(gradient_boosting, "LEAST_TREES", 10)


def metrics(measured: Measured) -> dict[str, Metric]:
    """The metrics by name."""
    return {metric.name: metric for metric in measured.part.metrics}


def score(measured: Measured) -> float:
    """The part's score."""
    assert measured.part.score is not None
    return measured.part.score.value


@pytest.mark.parametrize(
    ("target", "names"),
    [("ill", {"auc", "f1", "accuracy"}), ("town", {"auc", "f1", "accuracy"}), ("income", {"r2", "mae"})],
)
def test_real_rows_are_as_good_as_real_rows(target: str, names: set[str]) -> None:
    """In the place of synthetic ones they teach a model of two or many classes or of a number about all there is."""
    found = measure(compared(TRAINING, HOLDOUT, UNSEEN, target=target), never)
    assert metrics(found).keys() == names | {"detection_auc"}
    assert score(found) > 0.85
    assert found.part.score is not None
    assert found.part.score.ceiling == 1
    for metric in found.part.metrics:
        assert metric.figure.low is not None
        assert metric.figure.high is not None
        assert metric.figure.low <= metric.figure.value <= metric.figure.high


@pytest.mark.parametrize("target", ["ill", "town", "income"])
def test_shuffled_rows_teach_nothing(target: str) -> None:
    """Values with nothing to do with one another teach nothing of a target, and a detector tells them from real."""
    found = measure(compared(TRAINING, HOLDOUT, shuffled(UNSEEN, seed=4), target=target), never)
    assert score(found) < 0.15
    assert metrics(found)["detection_auc"].figure.value > 0.7


def test_detector_cannot_tell_real_from_real() -> None:
    """Of real rows a detector knows no more than of those trained on."""
    figure = metrics(measure(compared(TRAINING, HOLDOUT, UNSEEN), never))["detection_auc"].figure
    assert figure.value == pytest.approx(0.5, abs=0.06)
    assert figure.ceiling == pytest.approx(0.5, abs=0.06)


def test_large_numbers_that_differ_little() -> None:
    """What a model explains of a number doesn't depend on where its scale begins."""

    def moved(table: Table, by: float) -> Table:
        return Table(table.columns, (table.values[0], table.values[1].astype(np.float64) + by, *table.values[2:]))

    near, far = (
        metrics(measure(compared(*(moved(t, by) for t in (TRAINING, HOLDOUT, UNSEEN)), target="income"), never))["r2"]
        for by in (0.0, 1e12)
    )
    assert far.figure.value == pytest.approx(near.figure.value, abs=0.01)
    assert far.score == pytest.approx(near.score, abs=0.02)


def test_copies_do_not_make_a_detector_better_than_blind() -> None:
    """Rows on both sides mislead a detector, which is told as blind and not as worse than that."""
    figure = metrics(measure(compared(TRAINING, None, TRAINING), never))["detection_auc"].figure
    assert figure.value == figure.low == 0.5


def test_a_number_is_told_from_classes() -> None:
    """A number of a few values is a matter of classes."""
    columns = (*TRAINING.columns[:4], Column("ill", Kind.NUMBER))
    tables = [Table(columns, (*t.values[:4], t.values[4].astype(np.float64))) for t in (TRAINING, HOLDOUT, UNSEEN)]
    found = measure(compared(tables[0], tables[1], tables[2], target="ill"), never)
    assert "auc" in metrics(found)
    assert score(found) > 0.85


def with_target(table: Table, values: object) -> Table:
    """A table with other values in the column `ill`, which may have a third."""
    column = Column("ill", Kind.CATEGORY, ("no", "yes", "unheard of"))
    codes = np.broadcast_to(np.asarray(values, dtype=np.int32), len(table)).copy()
    return Table((*table.columns[:4], column, table.columns[5]), (*table.values[:4], codes, table.values[5]))


@pytest.mark.parametrize(("made", "text"), [(0, "one class"), (2, "a class nobody has"), (-1, "missing")])
def test_a_target_that_synthetic_rows_lack(made: int, text: str) -> None:
    """Of one class, of one that no real row has, or missing: the model has learned nothing, and the score says so."""
    tables = [with_target(table, table.values[4]) for table in (TRAINING, HOLDOUT)]
    found = measure(compared(tables[0], tables[1], with_target(UNSEEN, made), target="ill"), never)
    assert score(found) < 0.1, text
    assert metrics(found)["auc"].figure.value == pytest.approx(0.5)


def test_a_number_that_synthetic_rows_lack() -> None:
    """A number that is missing throughout can't be learned either."""
    gone = Table(UNSEEN.columns, (UNSEEN.values[0], np.full(len(UNSEEN), np.nan), *UNSEEN.values[2:]))
    assert score(measure(compared(TRAINING, HOLDOUT, gone, target="income"), never)) == 0


@pytest.mark.parametrize(
    ("holdout", "target", "why"),
    [
        (HOLDOUT, None, "will do as a target"),
        (None, "ill", "never saw"),
        (HOLDOUT.take(np.arange(19)), "ill", "Only 19"),
        (HOLDOUT, "height", "no model predicts 'height'"),
        (HOLDOUT.take(HOLDOUT.values[4] == 0), "ill", "same value"),
        (HOLDOUT.take(np.zeros(60, dtype=np.int64)), "income", "same value"),
    ],
)
def test_why_it_cannot_be_measured(holdout: Table | None, target: str | None, why: str) -> None:
    """Without target, holdout or anything to learn there is no score but a reason; a detector informs all the same."""
    found = measure(compared(TRAINING, holdout, UNSEEN, target=target), never)
    assert found.part.score is None
    assert why in found.part.reason
    assert metrics(found).keys() == {"detection_auc"}


def test_thousands_of_categories() -> None:
    """A column of more categories than a model takes, most of them unheard of in the other tables, is learned from."""
    labels = tuple(str(number) for number in range(5_000))
    draws = np.random.default_rng(0)
    tables = []
    for table in (TRAINING, HOLDOUT, UNSEEN):
        codes = draws.integers(0, 5_000, len(table)).astype(np.int32)
        tables.append(Table((*table.columns, Column("street", Kind.CATEGORY, labels)), (*table.values, codes)))
    assert score(measure(compared(tables[0], tables[1], tables[2], target="ill"), never)) > 0.8


def test_rare_classes_are_one() -> None:
    """Classes too rare to learn stand together, and those beyond the ten commonest do."""
    labels = tuple(str(number) for number in range(400))
    tables = []
    for table in (TRAINING, HOLDOUT, UNSEEN):
        codes = np.where(table.values[0] % 7 == 0, table.values[0] * 4, table.values[4]).astype(np.int32)
        tables.append(Table((*table.columns[:4], Column("kind", Kind.CATEGORY, labels)), (*table.values[:4], codes)))
    assert score(measure(compared(tables[0], tables[1], tables[2], target="kind"), never)) > 0.6


def test_the_same_seed_finds_the_same() -> None:
    """Twice the same part, to the last digit."""
    found = [measure(compared(TRAINING, HOLDOUT, UNSEEN, target="ill", seed=5), never) for _ in range(2)]
    assert found[0].part == found[1].part
    assert np.array_equal(found[0].replicates, found[1].replicates)


def test_called_off() -> None:
    """What is called off stops."""
    with pytest.raises(Cancelled):
        measure(compared(TRAINING, HOLDOUT, UNSEEN, target="ill"), lambda: True)


HUGE = Table(
    TRAINING.columns, (TRAINING.values[0], TRAINING.values[1].astype(np.float64) * 1e300, *TRAINING.values[2:])
)
ODD_TABLES = {
    "all missing": people(80, seed=1, missing=1.0),
    "half missing": people(80, seed=1, missing=0.5),
    "two rows": people(2, seed=1),
    "constant": people(1, seed=1).take(np.zeros(80, dtype=np.int64)),
    "huge": HUGE.take(np.arange(80)),
}


@pytest.mark.parametrize("target", ["ill", "income"])
@pytest.mark.parametrize("synthetic", ODD_TABLES)
@pytest.mark.parametrize("training", ODD_TABLES)
def test_odd_tables(training: str, synthetic: str, target: str) -> None:
    """Missing values everywhere, constants, two rows and values beyond measure are judged, or said why not."""
    comparison = compared(ODD_TABLES[training], people(60, seed=9, missing=0.3), ODD_TABLES[synthetic], target=target)
    part = measure(comparison, never).part
    assert (part.score is None) == bool(part.reason)
    assert all(np.isfinite(metric.figure.value) for metric in part.metrics)
