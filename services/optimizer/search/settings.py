"""How a search is to be run, and whether it can be."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.optimizer.search.faults import Fault, nearest
from services.optimizer.search.goal import Goal

METHODS = ("grid", "random", "bayesian", "hyperband")
ACQUISITION_FUNCTIONS = ("EI", "LCB", "PI", "gp_hedge")


@dataclass(frozen=True)
class SearchSettings:
    """How a search is run.

    `n_trials` counts every training, also one that repeats another with more epochs. `seed` is 0 to 2^32 - 1. `goal` is
    what is sought. Of `hyperband`: of `reduction` trials one goes on at each rung, and `scores_while_training` says
    whether a trial can be scored on its way and stopped at a rung, or must be trained anew for each of them.
    """

    method: str
    n_trials: int
    seed: int
    goal: Goal
    acquisition_function: str = "EI"
    reduction: int = 3
    scores_while_training: bool = False

    def faults(self) -> Iterator[Fault]:
        """What is wrong with them by themselves."""
        if self.method not in METHODS:
            yield Fault("optimization_method", f"There is no such method{nearest(self.method, METHODS)}")
        if self.acquisition_function not in ACQUISITION_FUNCTIONS:
            hint = nearest(self.acquisition_function, ACQUISITION_FUNCTIONS)
            yield Fault("acquisition_function", f"There is no such acquisition function{hint}")
        if self.n_trials < 1:
            yield Fault("n_trials", "It must be 1 or more.")
        if not 0 <= self.seed < 2**32:
            yield Fault("random_state", "It must be 0 to 4294967295.")
        if self.reduction < 2:
            yield Fault("reduction", "It must be 2 or more.")
