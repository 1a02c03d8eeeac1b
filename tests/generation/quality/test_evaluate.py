"""What the whole report says of tables whose quality is known."""

from dataclasses import replace

import numpy as np
import pytest

from services.generation.engines.protocol import Cancelled
from services.generation.quality import correlation_preservation, parts, statistical_similarity
from services.generation.quality.evaluate import WEIGHTS, evaluate
from services.generation.quality.parts import figure, never
from services.generation.quality.report import Figure, Part, PartName, QualityReport
from services.generation.quality.tables import Column, Comparison, Kind, Table
from tests.generation.quality.comparisons import comparison, shuffled, table


def score(part: Part) -> Figure:
    """A part's score, which is there."""
    assert part.score is not None
    return part.score


def test_real_rows_reach_the_ceiling() -> None:
    """Synthetic rows drawn as the real ones were score what unseen rows score, within the noise of the ceiling."""
    above = []
    for seed in range(4):
        compared = comparison(table(1200, 9 * seed), table(1200, 9 * seed + 1), table(300, 9 * seed + 2), seed)
        for measure, noise in ((statistical_similarity.measure, 0.02), (correlation_preservation.measure, 0.08)):
            part = measure(compared, never).part
            found = score(part)
            assert found.ceiling is not None
            assert abs(found.value - found.ceiling) < noise
            above.append(found.value > found.ceiling)
            for metric in part.metrics:
                # A range ends where one row lies, which says little of the others.
                if metric.name != "range_coverage":
                    assert metric.figure.value == pytest.approx(metric.figure.ceiling, abs=0.05), metric.name
    assert 0 < sum(above) < len(above)


def test_shuffled_columns() -> None:
    """Columns in another order each keep their own distributions, and nothing of how they hang together."""
    real = table(2000, 1)
    compared = comparison(real, shuffled(table(2000, 2), 3), table(400, 4))
    single = score(statistical_similarity.measure(compared, never).part)
    together = score(correlation_preservation.measure(compared, never).part)
    assert single.ceiling is not None
    assert together.ceiling is not None
    assert single.value > single.ceiling - 0.01
    assert together.value < 0.05
    assert together.ceiling > 0.4


def test_wrong_columns_that_hang_together() -> None:
    """What columns have to do with one another is scored apart from whether each is right by itself."""
    real, made = table(2000, 1), table(2000, 2)
    stretched = (np.asarray(made.values[0], dtype=np.float64) * 1.2, *made.values[1:])
    related = Table(made.columns, stretched)
    scores = [
        score(correlation_preservation.measure(comparison(real, each, table(400, 3)), never).part).value
        for each in (made, related, shuffled(related, 1))
    ]
    assert scores[0] > scores[1] > scores[0] - 0.15
    assert scores[2] < 0.05


def test_shifted_column() -> None:
    """A wrong column costs the part what it counts for, and is named as the furthest off."""
    real, made = table(2000, 1), table(2000, 2)
    values = (made.values[0], np.asarray(made.values[1], dtype=np.float64) + 15.0, *made.values[2:])
    compared = comparison(real, Table(made.columns, values), table(400, 3))
    report = evaluate(compared)
    finding = next(each for each in report.findings if each.part == PartName.STATISTICAL_SIMILARITY)
    assert "Furthest off: 'age'" in finding.text
    assert finding.verdict == "fair"


def test_intervals_cover() -> None:
    """Of tables drawn anew, about 95 of 100 scores lie in the interval that one of them tells."""
    training = [table(600, seed) for seed in range(40)]
    measured = [
        score(statistical_similarity.measure(comparison(real, table(600, 100 + place), seed=place), never).part)
        for place, real in enumerate(training)
    ]
    centre = np.mean([each.value for each in measured])
    covered = np.mean([(each.low or 0) <= centre <= (each.high or 0) for each in measured])
    assert covered >= 0.8
    spread = np.std([each.value for each in measured])
    width = np.mean([(each.high or 0) - (each.low or 0) for each in measured])
    assert width == pytest.approx(2 * 1.96 * spread, rel=0.45)


def test_same_seed_same_report() -> None:
    """The same comparison gives the same report; another seed draws other rows."""
    compared = comparison(table(300, 1), table(300, 2), table(60, 3), seed=5)

    def told(report: QualityReport) -> dict[str, object]:
        return report.model_dump(exclude={"seconds"})

    first = told(evaluate(compared))
    assert told(evaluate(compared)) == first
    assert told(evaluate(replace(compared, seed=6))) != first


def test_figures_by_name() -> None:
    """Every figure has a name, the parts' weights add up to 1, and so do those of a part's metrics."""
    report = evaluate(comparison(table(300, 1), table(300, 2), table(60, 3)))
    names = dict(report.figures())
    assert {"quality_score", "statistical_similarity.ks_complement", "correlation_preservation"} <= names.keys()
    assert sum(part.weight for part in report.parts) == pytest.approx(1)
    for part in report.parts:
        if part.score is not None and part.name in list(WEIGHTS)[:2]:
            assert sum(metric.weight for metric in part.metrics) == pytest.approx(1)
            total = sum(metric.weight * metric.score for metric in part.metrics if metric.score is not None)
            assert part.score.value == pytest.approx(total)
    for found in names.values():
        assert found.low is None or found.high is None or found.low <= found.value <= found.high
    assert QualityReport.model_validate_json(report.model_dump_json()) == report


def test_without_holdout() -> None:
    """Without unseen rows there is no ceiling, and a note says so; too few are as good as none."""
    for holdout in (None, table(12, 3)):
        report = evaluate(comparison(table(300, 1), table(300, 2), holdout))
        single = score(report.parts[0])
        assert single.ceiling is None
        assert single.low is not None
        assert any("that the generator has never seen" in note for note in report.notes)


def test_called_off() -> None:
    """Work that is called off ends at once, by the error that says so."""
    asked = []

    def called_off() -> bool:
        asked.append(True)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        evaluate(comparison(table(300, 1), table(300, 2)), called_off=called_off)
    assert len(asked) == 4


def test_progress_grows() -> None:
    """Progress goes up to 1."""
    heard: list[float] = []
    evaluate(comparison(table(100, 1), table(100, 2)), progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_large_tables_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more rows than are judged a sample is drawn, the report says of how many, and its score stays close."""
    compared = comparison(table(6000, 1), table(6000, 2), table(1500, 3))
    whole = score(statistical_similarity.measure(compared, never).part)
    monkeypatch.setattr(parts, "MOST_ROWS", 2000)
    report = evaluate(compared)
    assert report.rows.judged == 2000
    assert report.rows.training == 6000
    assert any("2,000 rows" in note for note in report.notes)
    assert score(report.parts[0]).value == pytest.approx(whole.value, abs=0.02)


def one_column(*values: float, kind: Kind = Kind.NUMBER) -> Table:
    """A table of one column."""
    if kind is Kind.CATEGORY:
        return Table((Column("x", kind, ("a", "b", "c")),), (np.array(values, dtype=np.int32),))
    return Table((Column("x", kind),), (np.array(values, dtype=np.float64),))


@pytest.mark.parametrize(
    ("training", "synthetic", "expected"),
    [
        (one_column(1, 1, 1), one_column(1, 1), 1.0),
        (one_column(1, 1, 1), one_column(2, 2), 0.0),
        (one_column(1, 2), one_column(1, 2), 1.0),
        (one_column(1, 2), one_column(np.nan, np.nan), 0.0),
        (one_column(np.nan, np.nan), one_column(1, 2), 0.0),
        (one_column(np.nan, np.nan), one_column(np.nan), 1.0),
        (one_column(1e308, -1e308), one_column(1e308, -1e308), 1.0),
        (one_column(5), one_column(5), 1.0),
        (one_column(0, 1, kind=Kind.CATEGORY), one_column(0, 1, kind=Kind.CATEGORY), 1.0),
        (one_column(0, 0, kind=Kind.CATEGORY), one_column(2, 2, kind=Kind.CATEGORY), 0.0),
        (one_column(-1, -1, kind=Kind.CATEGORY), one_column(-1, -1, kind=Kind.CATEGORY), 1.0),
    ],
)
def test_single_column(training: Table, synthetic: Table, expected: float) -> None:
    """Constant, missing and tiny columns score as they should; one column alone has no correlation."""
    report = evaluate(comparison(training, synthetic))
    assert score(report.parts[0]).value == pytest.approx(expected)
    assert report.parts[1].score is None
    assert "two columns" in report.parts[1].reason
    assert any("without correlation preservation" in note for note in report.notes)


def test_nothing_to_judge() -> None:
    """Tables without rows have no score, and the report says why."""
    empty = table(10, 1).take(np.arange(0))
    for compared in (comparison(empty, table(10, 1)), comparison(table(10, 1), empty), comparison(empty, empty)):
        report = evaluate(compared)
        assert report.quality_score is None
        assert report.findings[0].verdict == "unknown"
        assert all(part.score is None and part.reason and part.weight == 0 for part in report.parts)


def test_far_beyond() -> None:
    """Synthetic values many orders of magnitude too large are merely wrong."""
    real = table(100, 1)
    huge = (np.asarray(real.values[1], dtype=np.float64) * 1e300, *real.values[1:])
    tiny = Table(real.columns, (np.asarray(real.values[0], dtype=np.float64) * 1e-300, *real.values[1:]))
    compared = comparison(tiny, Table(real.columns, huge), table(30, 2))
    assert score(statistical_similarity.measure(compared, never).part).value < 1
    assert score(correlation_preservation.measure(compared, never).part).value < 1


def test_lost_correlation_counts_as_none() -> None:
    """A column that is constant in the synthetic table only keeps no correlation there."""
    real = table(400, 1, gaps=0)
    constant = Table(real.columns, (real.values[0], np.full(400, 40.0), *real.values[2:]))
    part = correlation_preservation.measure(comparison(real, constant), never).part
    pearson = next(metric for metric in part.metrics if metric.name == "correlation_similarity")
    found = {detail.columns: detail.figure.value for detail in pearson.details}
    expected = float(np.corrcoef(real.values[0], real.values[1])[0, 1])
    assert found[("income", "age")] == pytest.approx(1 - abs(expected) / 2)


def test_wide_table() -> None:
    """Of many columns, pairs and triples are drawn, and the report says so and stays small."""
    draws = np.random.default_rng(0)
    columns = tuple(Column(f"c{place}", Kind.NUMBER) for place in range(60))
    tables = [Table(columns, tuple(draws.normal(size=80) for _ in columns)) for _ in range(2)]
    measured = correlation_preservation.measure(Comparison(tables[0], None, tables[1], None, (), 0), never)
    (note,) = measured.notes
    assert "of 1,770 pairs of columns, 300 at most for each metric; of 34,220 triples of columns, 150" in note
    assert all(len(metric.details) <= 300 for metric in measured.part.metrics)


def test_interval_lies_around_the_value() -> None:
    """An interval is moved to the value and stays within 0 and 1; replicates without numbers tell nothing."""
    draws = np.random.default_rng(0)
    found = figure(0.9, draws.normal(0.5, 0.01, 200))
    assert found.low == pytest.approx(0.88, abs=0.005)
    assert found.high == pytest.approx(0.92, abs=0.005)
    assert figure(0.99, draws.normal(0.5, 0.1, 200)).high == 1.0
    assert figure(0.9, np.full(200, np.nan)).low is None
