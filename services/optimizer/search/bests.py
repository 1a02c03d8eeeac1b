"""Which trials are the best: one, or a Pareto set; so far, and for how long nothing better has come."""

from collections.abc import Sequence

from services.optimizer.search.goal import Goal
from services.optimizer.search.trials import Ending, Trial


def eligible(goal: Goal, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that can be the best, in their order: succeeded, with every objective, and within every cap.

    One that was pruned is not among them: it was stopped because others were better, and it has no model to keep.
    """
    return [
        trial
        for trial in trials
        if trial.outcome is not None
        and trial.outcome.ending is Ending.SUCCEEDED
        and not goal.objections(trial.outcome.scores)
    ]


def best(goal: Goal, trials: Sequence[Trial]) -> Trial | None:
    """The best trial: of those that can be the best, the one with the highest gain, the earlier of two equals.

    With several objectives it is of the Pareto set the one that comes nearest to the best of each, where every
    objective is scaled to the set's own range (the distance is the largest shortfall; Chebyshev's). None if no trial
    can be it.
    """
    front = _Front()
    for trial in eligible(goal, trials):
        front.add(trial, _gains(goal, trial))
    return front.best()


def pareto(goal: Goal, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that none is better than in every objective, in their order; with one objective, all the best.

    A trial dominates another if it is nowhere worse and somewhere better (Deb et al., A Fast and Elitist Multiobjective
    Genetic Algorithm: NSGA-II, 2002, section III).
    """
    front = _Front()
    for trial in eligible(goal, trials):
        front.add(trial, _gains(goal, trial))
    return front.trials()


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether gains are nowhere worse than others and somewhere better."""
    pairs = list(zip(one, other, strict=True))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def best_so_far(goal: Goal, trials: Sequence[Trial]) -> list[Trial | None]:
    """The best trial after each of the trials, None as long as there is none; `trials` in the order of their ends."""
    front = _Front()
    bests = []
    for trial in trials:
        if eligible(goal, [trial]):
            front.add(trial, _gains(goal, trial))
        bests.append(front.best())
    return bests


def trials_without_gain(goal: Goal, trials: Sequence[Trial]) -> int:
    """How many of the latest trials brought nothing better; `trials` in the order in which they ended.

    Something better is a higher gain than any before, or with several objectives a point that none before dominates or
    equals. Every ended trial counts, one that failed too; before there is a best one, nothing better has come yet. A
    search with a patience of n ends when this reaches n.
    """
    front = _Front()
    without = 0
    for trial in trials:
        if trial.outcome is None:
            continue
        gained = bool(eligible(goal, [trial])) and front.add(trial, _gains(goal, trial))
        without = 0 if gained else without + 1
    return without


def ranked(goal: Goal, trials: Sequence[Trial]) -> list[Trial]:
    """Trials that have scores, from the best to the worst: which of them should be trained on.

    Those within the caps come first, by the front that they are on (the Pareto set, then what is the set without it,
    and so on), then the others, the least beyond the caps first; equals by number. Scores of pruned trials count.
    A trial whose objectives couldn't be computed isn't ranked.
    """
    scored = {trial.number: gains for trial in trials if (gains := goal.gains(trial.scores)) is not None}
    by_number = {trial.number: trial for trial in trials}
    excess = {number: goal.excess(by_number[number].scores) for number in scored}
    left = sorted(number for number in scored if excess[number] == 0)
    order: list[int] = []
    while left:
        front = [number for number in left if not any(dominates(scored[other], scored[number]) for other in left)]
        order.extend(front)
        left = [number for number in left if number not in front]
    order.extend(sorted((number for number in scored if excess[number] > 0), key=lambda each: (excess[each], each)))
    return [by_number[number] for number in order]


def _gains(goal: Goal, trial: Trial) -> tuple[float, ...]:
    gains = goal.gains(trial.scores)
    if gains is None:
        raise ValueError(f"Trial {trial.number} lacks an objective.")
    return gains


class _Front:
    """A Pareto set that grows trial by trial."""

    def __init__(self) -> None:
        self._members: list[tuple[Trial, tuple[float, ...]]] = []

    def add(self, trial: Trial, gains: tuple[float, ...]) -> bool:
        """Takes the trial in unless one of the set dominates it; whether it is better somewhere than all before."""
        if any(dominates(other, gains) for _, other in self._members):
            return False
        equalled = any(other == gains for _, other in self._members)
        self._members = [member for member in self._members if not dominates(gains, member[1])]
        self._members.append((trial, gains))
        return not equalled

    def trials(self) -> list[Trial]:
        """The set, in the order in which it came."""
        return [trial for trial, _ in self._members]

    def best(self) -> Trial | None:
        """The member with the smallest largest shortfall; see `best`."""
        if not self._members:
            return None
        columns: list[tuple[float, ...]] = list(zip(*(gains for _, gains in self._members), strict=True))
        tops = [max(column) for column in columns]
        widths = [max(column) - min(column) or 1.0 for column in columns]

        def shortfall(gains: tuple[float, ...]) -> float:
            return max((top - gain) / width for top, gain, width in zip(tops, gains, widths, strict=True))

        return min(self._members, key=lambda member: shortfall(member[1]))[0]
