"""The part privacy: what is known of people trained on beyond what is known of people who weren't."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from services.generation.quality.parts import CalledOff, Measured, figure, unmeasured
from services.generation.quality.privacy.attributes import attributes
from services.generation.quality.privacy.copies import copies
from services.generation.quality.privacy.measures import Measure
from services.generation.quality.privacy.membership import membership
from services.generation.quality.privacy.nearest import nearest
from services.generation.quality.privacy.neighbours import closer_to_training, distances, picture
from services.generation.quality.privacy.space import Space
from services.generation.quality.report import Part, PartName
from services.generation.quality.resampling import drawn, draws
from services.generation.quality.tables import Comparison, Table

NAME = PartName.PRIVACY
# Whose nearest record is looked for, of each table, and among how many.
MOST_ASKED = 5_000
MOST_AMONG = 30_000
# Whose sensitive columns are guessed by how many synthetic rows.
MOST_GUESSED_BY = 10_000
# With fewer rows never seen there is nothing to hold the others against.
LEAST_HOLDOUT = 20
_PURPOSE = 36


def measure(comparison: Comparison, called_off: CalledOff) -> Measured:
    """Attacks people trained on by the synthetic rows, and as many who weren't; the score is that of the worst attack.

    A leak found by any attack is a leak, so nothing is averaged. Every measure counts only what it finds beyond what
    it finds of rows that the generator never saw: being like the real table is what synthetic rows are for.
    """
    holdout = comparison.holdout
    if not comparison.training.columns or not len(comparison.synthetic) or not len(comparison.training):
        return unmeasured(NAME, "There are no rows to compare.")
    if holdout is None or len(holdout) < LEAST_HOLDOUT:
        return _without_holdout(comparison, called_off)
    generator = draws(comparison.seed, _PURPOSE)
    space = Space(comparison.training)
    asked = min(MOST_ASKED, len(holdout), len(comparison.training))
    others = drawn(holdout, asked, generator)
    among = drawn(comparison.training, MOST_AMONG, generator)
    members = among.take(np.arange(asked))
    made = drawn(comparison.synthetic, MOST_AMONG, generator)
    tables = (members, others, among, made)
    own, their, all_own, all_made = (space.points(table) for table in tables)
    some_made = all_made.part(0, MOST_ASKED)
    made_to_own = nearest(some_made, all_own, called_off)
    their_to_own = nearest(their, all_own, called_off)
    measures = [
        *copies(comparison, called_off),
        closer_to_training(some_made, own, their, comparison.seed, called_off),
        *distances(made_to_own, their_to_own, space.alike, comparison.seed),
        *membership(own, their, all_made, comparison.seed, called_off),
        *attributes(comparison, members, others, made.take(np.arange(min(len(made), MOST_GUESSED_BY))), called_off),
    ]
    measured = _worst(measures, _notes(comparison, tables, len(some_made)))
    return replace(measured, distances=picture(made_to_own.first, their_to_own.first))


def _worst(measures: Sequence[Measure], notes: tuple[str, ...]) -> Measured:
    scored = [(measure, measure.metric.score) for measure in measures if measure.metric.score is not None]
    replicates = np.min([measure.replicates for measure, _ in scored], axis=0)
    ideal = np.min([measure.ideal for measure, _ in scored], axis=0)
    worst, value = min(scored, key=lambda each: each[1])
    score = figure(value, replicates, float(ideal.mean()))
    metrics = tuple(
        measure.metric.model_copy(update={"weight": 1.0 if measure is worst else 0.0}) for measure in measures
    )
    return Measured(Part(name=NAME, score=score, metrics=metrics), replicates, notes)


def _without_holdout(comparison: Comparison, called_off: CalledOff) -> Measured:
    """Only what needs no rows to hold it against; it informs, and can't be judged."""
    reason = (
        "How much the synthetic rows give away can only be judged against real rows that the generator never saw"
        + (", and there are none." if comparison.holdout is None else f": it takes {LEAST_HOLDOUT} or more.")
    )
    generator = draws(comparison.seed, _PURPOSE)
    comparison = replace(comparison, holdout=None)
    space = Space(comparison.training)
    among = space.points(drawn(comparison.training, MOST_AMONG, generator))
    made = space.points(drawn(comparison.synthetic, MOST_ASKED, generator))
    measures = [
        *copies(comparison, called_off),
        *distances(nearest(made, among, called_off), None, space.alike, comparison.seed),
    ]
    metrics = tuple(measure.metric for measure in measures)
    copied = next(metric.figure.value for metric in metrics if metric.name == "unique_copies")
    if copied > 0:
        reason += f" But {copied:.2%} of the synthetic rows equal a training row that is the only one of its kind."
    measured = unmeasured(NAME, reason)
    return replace(measured, part=measured.part.model_copy(update={"metrics": metrics}))


def _notes(comparison: Comparison, tables: tuple[Table, Table, Table, Table], made: int) -> tuple[str, ...]:
    members, others, among, all_made = tables
    unseen = 0 if comparison.holdout is None else len(comparison.holdout)
    if len(comparison.training) == len(among) and unseen == len(others) and len(comparison.synthetic) == made:
        return ()
    note = (
        f"Distances are those of {made:,} synthetic rows and of {len(others):,} rows never seen to {len(among):,} "
        f"training rows; {len(members):,} people trained on and {len(others):,} others were looked for among "
        f"{len(all_made):,} synthetic rows. Copies were counted in all rows."
    )
    return (note,)
