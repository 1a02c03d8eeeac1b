"""Reports as the page may get them: whole, hostile and empty."""

import numpy as np

from services.generation.quality.page.facts import Facts, job_facts
from services.generation.quality.report import (
    Associations,
    Detail,
    Distances,
    Distribution,
    Figure,
    Finding,
    JudgedRows,
    Metric,
    Part,
    PartName,
    Pictures,
    QualityReport,
)

HOSTILE = "<script>alert(1)</script>"
COLUMNS = ("age", HOSTILE, "$x^2_$", "日本語", "a\nb", "joined", "long ago", "far away", "")
ROWS = JudgedRows(training=900, holdout=100, synthetic=1000, judged=900)


def figure(value: float, ceiling: float | None = 0.97) -> Figure:
    """A figure with an interval and a ceiling."""
    return Figure(value=value, low=value - 0.01, high=value + 0.01, ceiling=ceiling)


def whole_report() -> QualityReport:
    """A report in which there is everything, on columns with names that a page might stumble over."""
    draws = np.random.default_rng(0)
    shares = tuple(draws.dirichlet(np.ones(10)))
    century = 3.2e9
    distributions = [
        Distribution(column="age", kind="number", edges=tuple(np.linspace(18, 90, 11)), real=shares, synthetic=shares),
        *(
            Distribution(
                column=name,
                kind="category",
                labels=(HOSTILE, "$", "x\ny"),
                real=(0.5, 0.3, 0.2),
                synthetic=(0.4, 0.4, 0.2),
            )
            for name in COLUMNS[1:5]
        ),
        *(
            Distribution(
                column=name,
                kind="date",
                edges=tuple(np.linspace(start, start + century, 11)),
                real=shares,
                synthetic=shares,
                real_missing=0.1,
            )
            for name, start in zip(COLUMNS[5:8], (1e9, -6.3e10, 2.6e11), strict=True)
        ),
        Distribution(column="", kind="category", real=(), synthetic=(), real_missing=1.0, synthetic_missing=1.0),
    ]
    matrix = tuple(tuple(map(float, row)) for row in np.atleast_2d(np.corrcoef(draws.normal(size=(len(COLUMNS), 12)))))
    details = tuple(Detail(columns=(name,), figure=figure(0.9)) for name in COLUMNS)
    similarity = Metric(
        name="ks_complement", figure=figure(0.94), score=0.94, description="How alike.", details=details
    )
    attack = Metric(
        name="membership_auc", figure=figure(0.51, 0.5), score=0.98, higher_is_better=False, description="An attack."
    )
    return QualityReport(
        quality_score=figure(0.943),
        parts=(
            Part(name=PartName.STATISTICAL_SIMILARITY, score=figure(0.93), weight=0.3, metrics=(similarity,)),
            Part(name=PartName.CORRELATION_PRESERVATION, score=figure(0.91), weight=0.2),
            Part(name=PartName.ML_EFFICACY, score=None, reason="There is nothing to predict."),
            Part(name=PartName.PRIVACY, score=figure(0.99), weight=0.5, metrics=(attack,)),
        ),
        rows=ROWS,
        target_column=HOSTILE,
        findings=(Finding(verdict="good", part="quality_score", text=f"Good, with {HOSTILE}."),),
        notes=(f"A note on {HOSTILE}.",),
        seed=7,
        seconds=1.5,
        pictures=Pictures(
            distributions=tuple(distributions),
            associations=Associations(columns=COLUMNS, real=matrix, synthetic=matrix),
            distances=Distances(edges=tuple(np.linspace(0, 1, 11)), synthetic=shares, holdout=shares),
        ),
    )


def empty_report() -> QualityReport:
    """A report in which nothing could be measured."""
    parts = tuple(Part(name=name, score=None, reason="There are two rows.") for name in PartName)
    return QualityReport(quality_score=None, parts=parts, rows=ROWS, seed=7, seconds=0.1)


def facts() -> Facts:
    """How a job's table was made."""
    return job_facts(
        {
            "job_id": "019a7b1c-4d3e-7f52-8a6b-0c1d2e3f4a5b",
            "name": f"customers {HOSTILE}",
            "dataset": {"dataset_id": "019a", "version": 2, "name": HOSTILE, "row_count": 28_941, "sha256": "ab" * 32},
            "settings": {
                "engine": "sdv",
                "model_type": "ctgan",
                "model_config": {"epochs": 150, "generator_dim": [256, 256], "log_frequency": True},
                "adjustments": ["batch_size was set to 500: pac divides it."],
                "seed": 42,
                "holdout_fraction": 0.1,
                "conditions": {"city": HOSTILE},
            },
            "model": {"model_id": "019b", "sha256": "cd" * 32},
            "table": {"sha256": "ef" * 32, "row_count": 100_000, "personal_data": [{"column": "email"}]},
            "versions": {"sdv": "2.0.0"},
            "timings": {
                "create_time": "2026-01-31T12:00:00+00:00",
                "end_time": "2026-01-31T12:02:00+00:00",
                "seconds": {"training": 66.123},
            },
        }
    )
