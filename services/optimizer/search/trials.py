"""What a search asks and what it is told."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, SupportsFloat

from services.optimizer.search.space import Point


class Ending(StrEnum):
    """How a trial ended."""

    SUCCEEDED = "succeeded"
    PRUNED = "pruned"  # stopped at a rung: its scores are those of the epochs it had
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, with its scores by metric (`quality_score`, `privacy.membership_auc`) as plain floats.

    A metric that couldn't be computed is absent. Use the three functions below.
    """

    ending: Ending
    scores: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @staticmethod
    def succeeded(scores: Mapping[str, SupportsFloat | None]) -> "Outcome":
        """The trial ended well. Scores that are None or not finite count as ones that couldn't be computed."""
        return Outcome(Ending.SUCCEEDED, plain_scores(scores))

    @staticmethod
    def pruned(scores: Mapping[str, SupportsFloat | None]) -> "Outcome":
        """The trial was stopped at a rung, with the scores it had there."""
        return Outcome(Ending.PRUNED, plain_scores(scores))

    @staticmethod
    def failed(reason: str = "") -> "Outcome":
        """The trial has no scores, and why."""
        return Outcome(Ending.FAILED, reason=reason)


@dataclass(frozen=True)
class Suggestion:
    """A trial to run.

    `number` counts from 1 and names the trial in its search. `point` is what is searched, with the values really used;
    `parameters` are those of the model to train. Of `hyperband`: `bracket` and `rung` say where the trial belongs,
    `epochs` how long it trains, `parent` which trial it repeats with more epochs. `rungs` are the epochs after which
    `report` wants to be asked whether the trial may go on; empty if it runs to its end in any case.
    """

    number: int
    point: Point
    parameters: dict[str, object]
    epochs: int | None = None
    rungs: tuple[int, ...] = ()
    bracket: int | None = None
    rung: int | None = None
    parent: int | None = None

    def to_record(self) -> dict[str, Any]:
        """Everything of it as JSON can hold it."""
        return {
            "number": self.number,
            "point": self.point,
            "parameters": self.parameters,
            "epochs": self.epochs,
            "rungs": list(self.rungs),
            "bracket": self.bracket,
            "rung": self.rung,
            "parent": self.parent,
        }

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Suggestion":
        """What `to_record` made."""
        return Suggestion(**{**record, "rungs": tuple(record["rungs"])})


@dataclass(frozen=True)
class Trial:
    """A suggestion and what became of it: `outcome` is None while it runs.

    `reports` are scores on the way, by epochs, for a trial that can be stopped at a rung.
    """

    suggestion: Suggestion
    outcome: Outcome | None = None
    reports: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Its number in its search."""
        return self.suggestion.number

    @property
    def scores(self) -> Mapping[str, float]:
        """Its scores, none while it runs or if it failed."""
        return self.outcome.scores if self.outcome is not None else {}

    def with_report(self, epochs: int, scores: Mapping[str, float]) -> "Trial":
        """The same trial with scores on the way."""
        return replace(self, reports={**self.reports, epochs: dict(scores)})


def plain_scores(scores: Mapping[str, SupportsFloat | None]) -> dict[str, float]:
    """Scores as plain floats, without those that are None or not finite."""
    numbers = {metric: float(score) for metric, score in scores.items() if score is not None}
    return {metric: number for metric, number in numbers.items() if math.isfinite(number)}
