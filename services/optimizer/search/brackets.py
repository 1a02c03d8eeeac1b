"""Hyperband's table: how many trials train how long (Li et al., Hyperband, JMLR 18, 2018, algorithm 1 and table 1)."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """So many trials train for so many epochs."""

    trials: int
    epochs: int


@dataclass(frozen=True)
class Bracket:
    """One run of successive halving: of each rung's trials the best go on to the next, which trains longer."""

    rungs: tuple[Rung, ...]

    @property
    def trainings(self) -> int:
        """How many trainings it takes where each rung trains anew."""
        return sum(rung.trials for rung in self.rungs)

    def shrunk(self, trainings: int) -> "Bracket | None":
        """The largest bracket of the same rungs with at most so many trainings; None for no trainings at all.

        Where there are too few for halving, as many as there may be train as long as the last rung does.
        """
        if self.trainings <= trainings:
            return self
        for first in range(self.rungs[0].trials, 1, -1):
            counts = [max(first * rung.trials // self.rungs[0].trials, 1) for rung in self.rungs]
            if sum(counts) <= trainings:
                pairs = zip(counts, self.rungs, strict=True)
                return Bracket(tuple(Rung(count, rung.epochs) for count, rung in pairs))
        return Bracket((Rung(trainings, self.rungs[-1].epochs),)) if trainings > 0 else None


def brackets(least_epochs: int, most_epochs: int, reduction: int, halvings: int | None = None) -> Sequence[Bracket]:
    """Hyperband's brackets, the one that stops the most trials first.

    The longest training has `most_epochs` (the paper's R, where its unit of resource is `least_epochs`), the shortest
    at least `least_epochs`; η is `reduction`. `halvings` bounds s_max, by which the first bracket is the longest.
    """
    most = 0
    while least_epochs * reduction ** (most + 1) <= most_epochs:
        most += 1
    if halvings is not None:
        most = min(most, halvings)
    return [_bracket(most, steps, most_epochs, reduction) for steps in range(most, -1, -1)]


def _bracket(most: int, steps: int, most_epochs: int, reduction: int) -> Bracket:
    """Bracket s of s_max: n = ⌈(s_max + 1) η^s / (s + 1)⌉ trials; in rung i ⌊n η^-i⌋ of them train R η^(i-s) epochs."""
    first = -(-(most + 1) * reduction**steps // (steps + 1))
    return Bracket(
        tuple(
            Rung(first // reduction**place, round(most_epochs / reduction ** (steps - place)))
            for place in range(steps + 1)
        )
    )
