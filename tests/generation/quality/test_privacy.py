"""What is found of generators that copy, and of rows that know nobody."""

import numpy as np
import pytest

from services.generation.engines.protocol import Cancelled
from services.generation.quality.parts import Measured, never
from services.generation.quality.privacy import measure
from services.generation.quality.privacy.measures import beyond_chance
from services.generation.quality.report import Metric
from services.generation.quality.tables import Column, Kind, Table
from tests.generation.quality.people import COLUMNS, blurred, compared, people, shuffled, together

TRAINING = people(3_000, seed=1)
HOLDOUT = people(1_000, seed=2)
UNSEEN = people(3_000, seed=3)
SENSITIVE = ("ill", "income")


def judged(synthetic: Table) -> Measured:
    """What is found of a synthetic table."""
    return measure(compared(TRAINING, HOLDOUT, synthetic, sensitive=SENSITIVE), never)


def metrics(measured: Measured) -> dict[str, Metric]:
    """The metrics by name."""
    return {metric.name: metric for metric in measured.part.metrics}


def score(measured: Measured) -> float:
    """The part's score."""
    assert measured.part.score is not None
    return measured.part.score.value


@pytest.fixture(scope="module")
def unseen() -> Measured:
    """What is found of real rows that nobody was trained on, in the place of synthetic ones."""
    return judged(UNSEEN)


def test_unseen_rows_give_nobody_away(unseen: Measured) -> None:
    """Independent real rows score about the ceiling, and every interval holds what a guess would come to."""
    found = metrics(unseen)
    for name in ("closer_to_training", "membership_auc", "membership_density_auc"):
        figure = found[name].figure
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= 0.5 <= figure.high, name
    assert found["unique_copies"].figure.value < 0.01
    assert found["attribute_inference"].figure.low == 0
    part = unseen.part.score
    assert part is not None
    assert part.value > 0.85
    assert part.ceiling is not None
    assert part.value == pytest.approx(part.ceiling, abs=0.1)


def test_every_measure_finds_copies(unseen: Measured) -> None:
    """A generator that repeats its training rows is found by each measure, and scores nothing."""
    copied = judged(TRAINING)
    found, usual = metrics(copied), metrics(unseen)
    assert score(copied) == 0
    assert found["exact_copies"].figure.value == 1
    assert found["new_rows"].figure.value == 0
    assert found["membership_auc"].figure.value > 0.95
    assert found["membership_density_auc"].figure.value > 0.95
    assert found.keys() == usual.keys()
    for name, metric in found.items():
        worse = metric.figure.value - usual[name].figure.value
        assert (worse < 0) if metric.higher_is_better else (worse > 0), name
        if metric.score is not None:
            assert metric.score < (usual[name].score or 0), name


def test_blurred_copies_are_found() -> None:
    """Copies with noise added equal no training row, and are found by their distances."""
    found = judged(blurred(TRAINING, 0.01, seed=4))
    named = metrics(found)
    assert named["exact_copies"].figure.value == 0
    assert named["membership_auc"].figure.value > 0.9
    assert named["near_copies"].score == 0
    for name in ("distance_p5", "nearest_neighbour_ratio"):
        figure = named[name].figure
        assert figure.ceiling is not None
        assert figure.value < figure.ceiling / 2
    assert score(found) < 0.1


def test_a_few_copies_among_many_rows_are_found() -> None:
    """One blurred copy in ten rows moves no average much, but is found at the low end."""
    few = together(UNSEEN.take(np.arange(2_700)), blurred(TRAINING.take(np.arange(300)), 0.001, seed=5))
    found = metrics(judged(few))
    assert found["membership_auc"].figure.value < 0.6
    assert (found["near_copies"].score or 0) < 0.6


def test_likeness_is_no_leak(unseen: Measured) -> None:
    """Rows with nothing to do with the table are not more private than real rows which the generator never saw."""
    assert score(judged(shuffled(UNSEEN, seed=6))) == pytest.approx(score(unseen), abs=0.1)


def test_attributes_of_the_trained_on_are_guessed() -> None:
    """A table that repeats people with all but their height gives their height away, and of nobody else."""
    leaking = compared(TRAINING, HOLDOUT, TRAINING, sensitive=("height", "town"))
    found = metrics(measure(leaking, never))
    risk = found["attribute_inference"]
    assert risk.figure.value > 0.9
    assert [detail.columns for detail in risk.details] == [("height",), ("town",)]
    guesses = {detail.columns[0]: detail.figure for detail in found["attribute_guesses"].details}
    assert guesses["height"].value > 0.95
    assert guesses["height"].ceiling is not None
    assert guesses["height"].ceiling < 0.3


def test_what_all_guess_is_no_leak() -> None:
    """One guess more or less that is right is nothing, where nearly all are."""
    training, holdout, synthetic = (
        Table((COLUMNS[0], COLUMNS[4]), (table.values[0], np.zeros(len(table), dtype=np.int32)))
        for table in (TRAINING, HOLDOUT.take(np.arange(30)), UNSEEN)
    )
    holdout.values[1][0] = 1
    risk = metrics(measure(compared(training, holdout, synthetic, sensitive=("ill",)), never))["attribute_inference"]
    assert risk.figure.value == pytest.approx((1 - 29 / 30) / 0.2)
    assert (risk.score or 0) > 0.95


def test_without_holdout() -> None:
    """Without rows never seen what needs none is told, nothing is scored, and the part says why."""
    found = measure(compared(TRAINING, None, TRAINING, sensitive=SENSITIVE), never)
    assert found.part.score is None
    assert "there are none" in found.part.reason
    assert found.distances is None
    named = metrics(found)
    assert named.keys() == {
        "exact_copies",
        "unique_copies",
        "distance_p5",
        "nearest_neighbour_ratio",
        "new_rows",
    }
    assert named["exact_copies"].figure.value == 1
    assert "But 100.00% of the synthetic rows equal" in found.part.reason
    assert all(metric.score is None and metric.figure.ceiling is None for metric in named.values())


def test_with_a_tiny_holdout() -> None:
    """Nineteen rows never seen are none; twenty are enough to measure with wide intervals."""
    tiny = measure(compared(TRAINING, HOLDOUT.take(np.arange(19)), UNSEEN), never)
    assert tiny.part.score is None
    assert "20 or more" in tiny.part.reason
    small = measure(compared(TRAINING, HOLDOUT.take(np.arange(20)), UNSEEN, sensitive=("ill",)), never)
    assert small.part.score is not None
    assert small.part.score.low is not None
    assert small.part.score.high is not None
    assert small.part.score.high - small.part.score.low > 0.2


def test_the_same_seed_finds_the_same() -> None:
    """Twice the same, and by another seed only other draws."""
    table = UNSEEN.take(np.arange(500))
    once, again, other = (
        measure(compared(TRAINING, HOLDOUT, table, sensitive=SENSITIVE, seed=seed), never) for seed in (7, 7, 8)
    )
    assert once.part == again.part
    assert np.array_equal(once.replicates, again.replicates)
    assert once.part != other.part


def test_distances_to_draw(unseen: Measured) -> None:
    """The distances are told as shares by bin, the holdout's beside the synthetic rows'."""
    assert unseen.distances is not None
    assert len(unseen.distances.edges) == len(unseen.distances.synthetic) + 1 == len(unseen.distances.holdout) + 1
    assert sum(unseen.distances.synthetic) == pytest.approx(1)
    assert sum(unseen.distances.holdout) == pytest.approx(1)


def test_called_off() -> None:
    """What is called off stops."""
    with pytest.raises(Cancelled):
        measure(compared(TRAINING, HOLDOUT, UNSEEN), lambda: True)


def test_only_what_is_beyond_chance_counts() -> None:
    """Of an excess within the noise nothing counts, of one far above it nearly all."""
    by_chance = np.array([-0.1, 0.1] * 50)
    assert beyond_chance(np.array([-0.5, 0.0, 0.1, 0.2, 0.4, 1.0]), by_chance) == pytest.approx([0, 0, 0, 0, 0.3, 0.96])
    assert beyond_chance(0.3, np.zeros(10)) == pytest.approx(0.3)


def test_few_different_rows_are_no_leak() -> None:
    """A generator that makes the same few rows again and again, copies of nobody's, isn't blamed for its noise."""
    few = measure(compared(TRAINING, HOLDOUT, UNSEEN.take(np.arange(3_000) % 12), sensitive=SENSITIVE), never)
    figure = metrics(few)["closer_to_training"].figure
    assert figure.low is not None
    assert figure.high is not None
    assert figure.high - figure.low > 0.2
    assert (metrics(few)["closer_to_training"].score or 0) > 0.8


ODD_TABLES = {
    "all missing": people(60, seed=1, missing=1.0),
    "half missing": people(60, seed=1, missing=0.5),
    "two rows": people(2, seed=1),
    "one row": people(1, seed=1),
    "constant": people(1, seed=1).take(np.zeros(60, dtype=np.int64)),
}


@pytest.mark.parametrize("synthetic", ODD_TABLES)
@pytest.mark.parametrize("training", ODD_TABLES)
def test_odd_tables(training: str, synthetic: str) -> None:
    """Missing values everywhere, constants and one or two rows are measured, or said why not."""
    holdout = people(25, seed=9, missing=0.5)
    comparison = compared(ODD_TABLES[training], holdout, ODD_TABLES[synthetic], sensitive=SENSITIVE)
    part = measure(comparison, never).part
    assert (part.score is None) == bool(part.reason)
    assert all(np.isfinite(metric.figure.value) for metric in part.metrics)


def test_one_column() -> None:
    """Of a single column nobody's other columns are known."""
    column = (Column("ill", Kind.CATEGORY, ("no", "yes")),)
    training, holdout, synthetic = (Table(column, (people(100, seed=seed).values[4],)) for seed in (1, 2, 3))
    found = measure(compared(training, holdout, synthetic, sensitive=("ill",)), never)
    assert found.part.score is not None
    assert found.part.score.value > 0.5
    assert "attribute_inference" not in metrics(found)
