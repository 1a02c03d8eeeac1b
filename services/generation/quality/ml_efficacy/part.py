"""The part ml_efficacy: train on synthetic, test on real."""

import numpy as np

from services.generation.quality.ml_efficacy import models, skill
from services.generation.quality.ml_efficacy.detection import detection
from services.generation.quality.ml_efficacy.features import features
from services.generation.quality.ml_efficacy.target import Target, target_of
from services.generation.quality.parts import CalledOff, Floats, Measured, Reading, check, compose, unmeasured
from services.generation.quality.report import Metric, PartName
from services.generation.quality.resampling import counts, drawn, draws
from services.generation.quality.tables import Comparison, Table

NAME = PartName.ML_EFFICACY
MOST_TRAINING_ROWS = 10_000
MOST_TEST_ROWS = 5_000
# With fewer there is no telling a good model from a bad one.
LEAST_TEST_ROWS = 20
_PURPOSE = 20


class _Unpredictable(Exception):
    """The target can't be judged; says why, as a sentence."""


def measure(comparison: Comparison, called_off: CalledOff) -> Measured:
    """Trains gradient boosting on synthetic rows and on as many real ones, and tests both on rows never trained on.

    "Train on synthetic, test on real" (Esteban, Hyland & Rätsch 2017), read against "train on real, test
    on real". The score is the mean share of the real model's skill that the synthetic model keeps. The detector's AUC
    only informs: a trifle gives a table away that no user of it minds.
    """
    metric = detection(comparison, called_off)
    try:
        readings, notes = _readings(comparison, called_off)
    except _Unpredictable as unpredictable:
        return _unmeasured(str(unpredictable), metric)
    if metric is not None:
        readings.append(Reading(metric, np.empty(0)))
    return compose(NAME, readings, notes)


def _unmeasured(reason: str, metric: Metric | None) -> Measured:
    measured = unmeasured(NAME, reason)
    metrics = () if metric is None else (metric,)
    return Measured(measured.part.model_copy(update={"metrics": metrics}), measured.replicates)


def _readings(comparison: Comparison, called_off: CalledOff) -> tuple[list[Reading], list[str]]:
    name, holdout = comparison.target, comparison.holdout
    if name is None:
        raise _Unpredictable("No column of the table will do as a target that a model could predict.")
    if holdout is None:
        raise _Unpredictable(
            "A model can only be tested on real rows that the generator never saw, and there are none."
        )
    if len(comparison.training.columns) < 2:
        raise _Unpredictable(f"There is no other column to predict {name!r} from.")
    generator = draws(comparison.seed, _PURPOSE)
    target = target_of(comparison.training, name)
    real = _with_target(comparison.training, target)
    synthetic = _with_target(comparison.synthetic, target)
    test = drawn(_with_target(holdout, target), MOST_TEST_ROWS, generator)
    if len(test) < LEAST_TEST_ROWS:
        raise _Unpredictable(
            f"Only {len(test)} real rows that the generator never saw have a value in {name!r}; "
            f"it takes {LEAST_TEST_ROWS} to test a model."
        )
    if len(np.unique(target.of(test))) < 2:
        raise _Unpredictable(f"All the rows to test on have the same value in {name!r}.")
    # A synthetic table without any value teaches nothing; the real model still shows what there was to learn.
    rows = min(MOST_TRAINING_ROWS, len(real), len(synthetic) or len(real))
    trained_on = (drawn(synthetic, rows, generator), drawn(real, rows, generator))
    judge = _judge_numbers if target.classes is None else _judge_classes
    resamples = np.concatenate([np.ones((1, len(test))), counts(len(test), generator)])
    trials = judge(target, comparison.training, trained_on, test, resamples, called_off)
    readings = [trial.reading() for trial in trials]
    if all(reading.metric.score is None for reading in readings):
        raise _Unpredictable(f"Even from real rows no model predicts {name!r} better than without looking at them.")
    notes = []
    if rows < max(len(real), len(synthetic)) or len(test) < len(holdout):
        notes.append(
            f"The models that predict {name!r} were trained on {rows:,} rows each and tested on {len(test):,} real "
            "rows."
        )
    return readings, notes


def _with_target(table: Table, target: Target) -> Table:
    return table.take(~np.isnan(target.of(table)))


def _judge_classes(
    target: Target,
    reference: Table,
    trained_on: tuple[Table, Table],
    test: Table,
    resamples: Floats,
    called_off: CalledOff,
) -> list[skill.Trial]:
    truth = target.of(test)
    known = features(reference, (*trained_on, test), _name(reference, target))
    asked = known.tables[-1]
    shares = []
    for rows, table in zip(known.tables, trained_on, strict=False):
        check(called_off)
        shares.append(models.class_shares(rows, target.of(table), asked, known.categorical, target.class_count, seed=0))
    commonest = int(np.bincount(target.of(trained_on[1]).astype(np.int64)).argmax())
    return skill.of_classes(truth, shares, commonest, resamples)


def _judge_numbers(
    target: Target,
    reference: Table,
    trained_on: tuple[Table, Table],
    test: Table,
    resamples: Floats,
    called_off: CalledOff,
) -> list[skill.Trial]:
    known = features(reference, (*trained_on, test), _name(reference, target))
    asked = known.tables[-1]
    foreseen = []
    for rows, table in zip(known.tables, trained_on, strict=False):
        check(called_off)
        foreseen.append(models.numbers(rows, target.of(table), asked, known.categorical, seed=0))
    return skill.of_numbers(target.of(test), foreseen, float(target.of(trained_on[1]).mean()), resamples)


def _name(reference: Table, target: Target) -> str:
    return reference.columns[target.index].name
