"""How much each searched parameter matters for the score, by what was told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from services.optimizer.search.space import Point, Space
from services.optimizer.search.trials import Trial

LEAST_TRIALS = 10
LEAST_TRIALS_PER_PARAMETER = 3

_TREES = 100
_SHUFFLES = 10
_SAME = 1e-9  # scores that differ by less are the same


@dataclass(frozen=True)
class Importance:
    """How much each parameter matters: shares that add up to 1.

    `shares` are empty where nothing can be said; `reason` then says why. `explained` is how much of the scores'
    variance the model predicts of trials that it hasn't seen (R², at most 1; out of bag): the lower, the less the
    shares mean.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    explained: float | None = None
    trials: int = 0
    reason: str = ""


def importance(space: Space, metric: str, trials: Sequence[Trial], seed: int = 0) -> Importance:
    """The permutation importance of each searched parameter (Breiman, Random Forests, 2001, section 10).

    A forest learns the metric from the trials that have it, each parameter being a column (a choice by its place in the
    list); then each column is shuffled among the trials, and what the forest's R² loses by that is the parameter's
    importance. It takes max(10, 3 × parameters) trials with a score: from fewer, no forest tells more than chance. The
    epochs that `hyperband` allots count as a parameter. Takes a third of a second of processor time.
    """
    scored = [trial for trial in trials if metric in trial.scores]
    needed = max(LEAST_TRIALS, LEAST_TRIALS_PER_PARAMETER * len(space.domains))
    if len(scored) < needed:
        reason = f"{len(scored)} trials have {metric}; it takes {needed} to tell which parameters matter."
        return Importance(trials=len(scored), reason=reason)
    names = sorted(set[str]().union(*(trial.suggestion.point for trial in scored)))
    columns = np.array([[_number(space, name, trial.suggestion.point) for name in names] for trial in scored])
    scores = np.array([trial.scores[metric] for trial in scored])
    if np.ptp(scores) < _SAME:
        return Importance(trials=len(scored), reason=f"{metric} is the same in all trials.")
    forest = RandomForestRegressor(_TREES, oob_score=True, random_state=seed).fit(columns, scores)
    shuffled = permutation_importance(forest, columns, scores, n_repeats=_SHUFFLES, random_state=seed)
    losses = np.maximum(shuffled.importances_mean, 0.0)
    explained = float(forest.oob_score_)
    if losses.sum() == 0:
        return Importance({}, explained, len(scored), f"No parameter explains how {metric} differs.")
    shares = {name: float(share) for name, share in zip(names, losses / losses.sum(), strict=True)}
    return Importance(shares, explained, len(scored))


def _number(space: Space, name: str, point: Point) -> float:
    domain, value = space.domain(name), point[name]
    if domain is not None:
        return domain.encode(value)
    return float(value) if isinstance(value, int | float) else 0.0
