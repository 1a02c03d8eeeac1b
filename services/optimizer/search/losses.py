"""What Bayesian optimisation minimises: one number a trial, whatever was sought and however the trial ended."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.optimizer.search.goal import Goal
from services.optimizer.search.trials import Trial

Numbers = npt.NDArray[np.float64]

# Weight of the objectives' sum beside their worst one; Knowles' value.
_SUM_WEIGHT = 0.05


def losses(goal: Goal, told: Sequence[Trial], seed: int, number: int) -> list[float] | None:
    """The losses of trials that ended, less being better, with mean 0 and standard deviation 1 (or all 0).

    - One objective: the negative of its gain.
    - Several: each scaled to what was seen, then put together by random weights that change with the number of the
      trial to ask, so that the search goes along the whole Pareto set (Knowles, ParEGO, 2006, section IV: the augmented
      Chebyshev function).
    - A broken cap: worse than the worst trial within the caps, by how far it is beyond them (Deb, An Efficient
      Constraint Handling Method for Genetic Algorithms, 2000, section 3). If all are beyond, only that counts.
    - A trial that failed or lacks an objective: as bad as the worst of all. So the search keeps away from where trials
      fail, without being thrown off by a number that no score could have.

    None if no trial has its objectives: there is nothing to go by.
    """
    scored = [trial for trial in told if goal.gains(trial.scores) is not None]
    if not scored:
        return None
    gains = np.array([goal.gains(trial.scores) for trial in scored], dtype=np.float64)
    loss = -gains[:, 0] if gains.shape[1] == 1 else _scalarised(gains, seed, number)
    excess = np.array([goal.excess(trial.scores) for trial in scored])
    within = excess == 0
    loss = np.where(within, loss, loss[within].max() + excess) if within.any() else excess
    by_number = dict(zip((trial.number for trial in scored), loss.tolist(), strict=True))
    worst = max(by_number.values())
    every = np.array([by_number.get(trial.number, worst) for trial in told])
    spread = every.std()
    standard = (every - every.mean()) / spread if spread > 1e-12 else np.zeros_like(every)
    return [float(value) for value in standard]


def _scalarised(gains: Numbers, seed: int, number: int) -> Numbers:
    """One loss from several gains, of shape (trials, objectives)."""
    low, high = gains.min(axis=0), gains.max(axis=0)
    shortfall = (high - gains) / np.where(high > low, high - low, 1.0)
    weights = np.random.default_rng((seed, number)).dirichlet(np.ones(gains.shape[1]))
    weighted = shortfall * weights
    return np.asarray(weighted.max(axis=1) + _SUM_WEIGHT * weighted.sum(axis=1), dtype=np.float64)
