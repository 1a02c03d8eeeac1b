"""Judges a synthetic table: all parts together, with the verdict in words and what a page draws."""

import time
from collections.abc import Callable, Collection, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from services.generation.quality import correlation_preservation, ml_efficacy, privacy, statistical_similarity
from services.generation.quality.findings import findings
from services.generation.quality.groups import LEAST_HOLDOUT, grouping, has_ceiling
from services.generation.quality.parts import (
    CalledOff,
    Measured,
    check,
    figure,
    judged,
    mean_replicates,
    most_rows,
    never,
)
from services.generation.quality.pictures import pictures
from services.generation.quality.report import Figure, JudgedRows, Part, PartName, QualityReport, figures_of
from services.generation.quality.tables import Comparison
from services.generation.quality.titles import PART_TITLES

# What each part counts for in the quality score. Equal: which of them matters most is for whoever reads the report.
WEIGHTS = {
    PartName.STATISTICAL_SIMILARITY: 0.25,
    PartName.CORRELATION_PRESERVATION: 0.25,
    PartName.ML_EFFICACY: 0.25,
    PartName.PRIVACY: 0.25,
}

# Of fewer rows never seen, ceilings differ from draw to draw by as much as tables do that are worth telling apart.
_ROUGH_BELOW = 200

Progress = Callable[[float], None]

# How each part is measured, and how much of the work is done by then.
_MEASURES: tuple[tuple[PartName, Callable[[Comparison, CalledOff], Measured], float], ...] = (
    (PartName.STATISTICAL_SIMILARITY, statistical_similarity.measure, 0.1),
    (PartName.CORRELATION_PRESERVATION, correlation_preservation.measure, 0.3),
    (PartName.ML_EFFICACY, ml_efficacy.measure, 0.8),
    (PartName.PRIVACY, privacy.measure, 0.95),
)


def unheard(_fraction: float) -> None:
    """For progress that nobody follows."""


def evaluate(comparison: Comparison, *, called_off: CalledOff = never, progress: Progress = unheard) -> QualityReport:
    """Judges the synthetic table of a comparison.

    `called_off` is asked every now and then; `progress` hears which share of the work, 0 to 1, is done. The same
    comparison gives the same report, but for the seconds. Raises Cancelled.
    """
    began = time.monotonic()
    measured = []
    # The matrices are many and small: more threads would only wait for one another, and for those of others.
    with threadpool_limits(limits=1, user_api="blas"):
        for _, measure, done in _MEASURES:
            measured.append(measure(comparison, called_off))
            progress(done)
    check(called_off)
    parts, score, weighting = _weighted(measured)
    target = comparison.target or ""
    distances = next((each.distances for each in measured if each.distances is not None), None)
    drawn = pictures(comparison, parts[0])
    report = QualityReport(
        quality_score=score,
        parts=parts,
        rows=_rows(comparison),
        target_column=target,
        target_chosen=bool(target) and comparison.target_chosen,
        sensitive_columns=comparison.sensitive,
        findings=findings(score, parts),
        notes=tuple(
            dict.fromkeys(
                [
                    *comparison.notes,
                    *_about_rows(comparison),
                    *weighting,
                    *(note for each in measured for note in each.notes),
                    *drawn.notes,
                ]
            )
        ),
        seed=comparison.seed,
        seconds=time.monotonic() - began,
        pictures=drawn.pictures.model_copy(update={"distances": distances}),
    )
    progress(1.0)
    return report


def figures(comparison: Comparison, wanted: Collection[PartName], *, called_off: CalledOff = never) -> dict[str, float]:
    """The figures of some parts by name, as a report has them, in less time than a whole one takes.

    The quality score is among them if all parts are wanted. Raises Cancelled.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        measured = [measure(comparison, called_off) for part, measure, _ in _MEASURES if part in wanted]
    check(called_off)
    parts, score, _ = _weighted(measured)
    return {name: figure.value for name, figure in figures_of(score if len(parts) == len(_MEASURES) else None, parts)}


def _weighted(measured: Sequence[Measured]) -> tuple[tuple[Part, ...], Figure | None, list[str]]:
    """The parts with what each counts for, the score of all, and a note if one of them couldn't be measured."""
    there = [each for each in measured if each.part.score is not None]
    total = sum(WEIGHTS[each.part.name] for each in there)
    weights = {each.part.name: WEIGHTS[each.part.name] / total for each in there}
    parts = tuple(each.part.model_copy(update={"weight": weights.get(each.part.name, 0.0)}) for each in measured)
    if not there:
        return parts, None, []
    shares = np.array(list(weights.values()))
    scores = [part.score for part in parts if part.score is not None]
    value = float(shares @ np.array([score.value for score in scores]))
    ceilings = [score.ceiling for score in scores if score.ceiling is not None]
    ceiling = float(shares @ np.array(ceilings)) if len(ceilings) == len(scores) else None
    notes = []
    if len(there) < len(measured):
        missing = " and ".join(_called(each.part.name) for each in measured if each.part.score is None)
        told = ", ".join(f"{_called(name)} {weight:.0%}" for name, weight in weights.items())
        notes.append(f"The quality score is without {missing}, which couldn't be measured; it is made of {told}.")
    return parts, figure(value, mean_replicates([each.replicates for each in there], shares), ceiling), notes


def _called(name: PartName) -> str:
    return PART_TITLES[name].lower()


def _rows(comparison: Comparison) -> JudgedRows:
    return JudgedRows(
        training=len(comparison.training),
        holdout=0 if comparison.holdout is None else len(comparison.holdout),
        synthetic=len(comparison.synthetic),
        judged=most_rows(len(comparison.training.columns)),
    )


def _about_rows(comparison: Comparison) -> list[str]:
    """What one should know of the rows that were judged."""
    rows = _rows(comparison)
    notes = []
    if max(rows.training, rows.holdout, rows.synthetic) > rows.judged:
        notes.append(
            f"Of tables with more than {rows.judged:,} rows, so many were drawn to be judged, where nothing else "
            "is said."
        )
    if not has_ceiling(comparison):
        there = f"only {rows.holdout}" if rows.holdout else "no"
        notes.append(
            f"There are {there} real rows that the generator has never seen, so how well real rows would do can't be "
            f"said: scores stand without ceilings. It takes {LEAST_HOLDOUT}."
        )
    elif rows.synthetic:
        groups, size = grouping(judged(comparison))
        told = f"{groups} groups of {size:,} rows" if groups > 1 else f"a group of {size:,} rows"
        notes.append(
            f"Columns and pairs of columns were compared in {told}, so that scores and ceilings come from as many rows."
        )
        if rows.holdout < _ROUGH_BELOW:
            notes.append(
                f"The ceilings come from {rows.holdout} real rows that the generator has never seen. Others would give "
                "others: with so few, a score near its ceiling is as good as it."
            )
    return notes
