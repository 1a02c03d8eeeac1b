"""Similarities of single columns, pairs and triples of columns, and the metrics that they make up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from services.generation.quality.groups import Judging, Sample
from services.generation.quality.parts import Floats, Reading, figure
from services.generation.quality.report import Detail, Metric
from services.generation.quality.tables import Codes

# Details that a metric has at most; those furthest below their ceilings are told.
MOST_DETAILS = 1_000
# Nearer to 1 than this a floor leaves no room for a score.
_LEAST_ROOM = 1e-6


@dataclass(frozen=True)
class Similarity:
    """How similar some columns are, 0 to 1, with the same in each resample, shape (RESAMPLES,), and its ceiling.

    `floors` are the same of rows in which each column is drawn for itself, from the training and from the synthetic
    rows: what is reached by columns that have nothing to do with one another. None for single columns.
    """

    columns: tuple[str, ...]
    value: float
    replicates: Floats
    ceiling: float | None
    floors: tuple[float, float] | None = None


def metric_of(name: str, description: str, similarities: Sequence[Similarity], weight: float) -> Reading:
    """A metric that is the mean of similarities, of which there is at least one.

    Its score is that mean or, where similarities have floors, what it is above the synthetic rows' floor, as a share of
    what 1 is above the training rows': many columns have little to do with one another and single columns may be wrong,
    so that the mean alone would hardly show whether columns hang together.
    """
    replicates = np.mean([each.replicates for each in similarities], axis=0)
    ceilings = [each.ceiling for each in similarities if each.ceiling is not None]
    ceiling = float(np.mean(ceilings)) if len(ceilings) == len(similarities) else None
    value = float(np.mean([each.value for each in similarities]))
    told, left_out = similarities, ""
    if len(similarities) > MOST_DETAILS:
        left_out = f" Of {len(similarities):,} the {MOST_DETAILS:,} furthest below their ceilings are told one by one."
        shortfalls = [(1.0 if each.ceiling is None else each.ceiling) - each.value for each in similarities]
        furthest = np.sort(np.argsort(-np.array(shortfalls), kind="stable")[:MOST_DETAILS])
        told = [similarities[place] for place in furthest]
    real, made = np.mean([each.floors or (0.0, 0.0) for each in similarities], axis=0).tolist()
    room = max(1 - real, _LEAST_ROOM)
    unrelated = f" Columns that have nothing to do with one another reach {made:.3f}." if similarities[0].floors else ""
    metric = Metric(
        name=name,
        figure=figure(value, replicates, ceiling),
        score=min(1.0, max(0.0, (value - made) / room)),
        description=description + unrelated + left_out,
        details=tuple(
            Detail(columns=each.columns, figure=figure(each.value, each.replicates, each.ceiling)) for each in told
        ),
    )
    reached = None if ceiling is None else min(1.0, max(0.0, (ceiling - real) / room))
    return Reading(metric, (replicates - made) / room, reached, weight)


def of_counts(
    rows: Judging,
    columns: tuple[str, ...],
    codes: Sequence[Codes],
    cells: int,
    compared: Callable[[Floats, Floats], Floats],
    folded: tuple[Sequence[Codes], int] | None = None,
    unrelated: Sequence[tuple[Sample, Codes]] = (),
) -> Similarity:
    """A similarity from the counts of codes 0 … cells - 1, of which the last isn't counted.

    `codes` are those of the training, the synthetic and, if there is one, the holdout sample; `folded` are fewer codes
    for the replicates; `unrelated` are rows whose columns are drawn for themselves, from the training and from the
    synthetic rows. A group without any counted row has nothing in common with the training rows: 0.
    """

    def counted(sample: Sample, sample_codes: Codes) -> Floats:
        return sample.counts(sample_codes, cells)[:, :-1]

    training = counted(rows.training, codes[0])
    value = _mean(compared(training, counted(rows.synthetic, codes[1])))
    ceiling = None if rows.holdout is None else float(_mean(compared(training, counted(rows.holdout, codes[2]))))
    floors = [float(_mean(compared(training, counted(*each)))) for each in unrelated]
    few, few_cells = folded or (codes, cells)
    drawn = [
        sample.drawn_counts(each, few_cells)[..., :-1]
        for sample, each in zip((rows.training, rows.synthetic), few, strict=False)
    ]
    return Similarity(
        columns, float(value), _mean(compared(*drawn)), ceiling, (floors[0], floors[1]) if floors else None
    )


def _mean(by_group: Floats) -> Floats:
    """The mean over groups, along the first axis."""
    mean: Floats = np.nan_to_num(by_group, nan=0.0).mean(axis=0)
    return mean
