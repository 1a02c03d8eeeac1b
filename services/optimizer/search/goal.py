"""What a search is for: one metric or several, and caps that a trial must keep to be the best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from services.optimizer.search.faults import Fault, InvalidSearch, shown
from services.optimizer.search.metrics import Direction, direction, reach

MOST_OBJECTIVES = 4


@dataclass(frozen=True)
class Cap:
    """The smallest and the largest value of a metric that a best trial may have; None where there is no such limit."""

    metric: str
    minimum: float | None = None
    maximum: float | None = None

    def excess(self, value: float) -> float:
        """How far a value is beyond the cap, in the metric's own unit; 0 within it."""
        over = value - self.maximum if self.maximum is not None else 0.0
        under = self.minimum - value if self.minimum is not None else 0.0
        return max(over, under, 0.0)

    def __str__(self) -> str:
        limits = ((self.minimum, "at least"), (self.maximum, "at most"))
        return f"{self.metric} {' and '.join(f'{words} {limit:g}' for limit, words in limits if limit is not None)}"


@dataclass(frozen=True)
class Goal:
    """What is sought: `objectives` (one, or several for a Pareto set) under `caps`."""

    objectives: tuple[str, ...] = ("quality_score",)
    caps: tuple[Cap, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """All that it looks at: objectives first, each once."""
        return tuple(dict.fromkeys((*self.objectives, *(cap.metric for cap in self.caps))))

    def gains(self, scores: Mapping[str, float]) -> tuple[float, ...] | None:
        """The objectives' values turned so that more is better; None if one of them couldn't be computed."""
        if any(metric not in scores for metric in self.objectives):
            return None
        return tuple(
            scores[metric] if direction(metric) is Direction.MAXIMIZE else -scores[metric] for metric in self.objectives
        )

    def excess(self, scores: Mapping[str, float]) -> float:
        """How far the scores are beyond the caps, added up; 0 if they keep them all.

        A capped metric that couldn't be computed isn't known to keep its cap: it counts as 1 beyond, worse than any
        share or AUC can be.
        """
        return sum(cap.excess(scores[cap.metric]) if cap.metric in scores else 1.0 for cap in self.caps)

    def objections(self, scores: Mapping[str, float]) -> tuple[str, ...]:
        """Why a trial with these scores can't be the best, each in a sentence; none if it can."""
        missing = [f"{metric} couldn't be computed." for metric in self.objectives if metric not in scores]
        return (*missing, *self._broken(scores))

    def _broken(self, scores: Mapping[str, float]) -> Iterator[str]:
        for cap in self.caps:
            if cap.metric not in scores:
                yield f"{cap.metric} couldn't be computed, so whether it is {str(cap).partition(' ')[2]} isn't known."
            elif cap.excess(scores[cap.metric]) > 0:
                yield f"{cap.metric} is {scores[cap.metric]:.4g}; it must be {str(cap).partition(' ')[2]}."


def parse_goal(
    metric: str = "quality_score",
    objectives: Sequence[object] = (),
    caps: Mapping[str, object] | None = None,
    unmeasurable: Mapping[str, str] | None = None,
) -> Goal:
    """Checks what a request wants: `optimization_metric`, or `objectives` in its place, and `caps`.

    `unmeasurable` are metrics that can't be computed on the table at hand, each with the reason; a part's concern its
    figures as well. Raises InvalidSearch with everything that is wrong.
    """
    reasons = unmeasurable or {}
    wanted = list(objectives) if objectives else [metric]
    where = "objectives" if objectives else "optimization_metric"
    faults = [fault for name in wanted for fault in _metric_faults(where, name, reasons)]
    if len(wanted) > MOST_OBJECTIVES:
        faults.append(Fault(where, f"At most {MOST_OBJECTIVES} objectives; {len(wanted)} are given."))
    names = [name for name in wanted if isinstance(name, str)]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults.extend(Fault(where, f"{shown(name)} is given twice.") for name in twice)
    parsed = []
    for name, limits in sorted((caps or {}).items()):
        found = [*_metric_faults(f"caps.{name}", name, reasons), *_limit_faults(f"caps.{name}", limits)]
        if not found and isinstance(limits, Mapping):
            found = list(_reach_faults(f"caps.{name}", name, limits))
        faults.extend(found)
        if not found and isinstance(limits, Mapping):
            parsed.append(Cap(name, _limit(limits, "min"), _limit(limits, "max")))
    if faults:
        raise InvalidSearch(faults)
    return Goal(tuple(names), tuple(parsed))


def _metric_faults(field: str, name: object, unmeasurable: Mapping[str, str]) -> Iterator[Fault]:
    if not isinstance(name, str):
        yield Fault(field, f"{shown(name)} is not a metric's name.")
        return
    try:
        direction(name)
    except LookupError as error:
        yield Fault(field, str(error.args[0]))
        return
    for metric in {name, name.partition(".")[0]} & set(unmeasurable):
        yield Fault(field, f"{name} can't be computed on this table: {unmeasurable[metric]}")


def _limit_faults(field: str, limits: object) -> Iterator[Fault]:
    if not isinstance(limits, Mapping) or not limits or set(limits) - {"min", "max"}:
        yield Fault(field, 'Give it as {"max": 0.55}, {"min": 0.8}, or both.')
        return
    wrong = [key for key, value in limits.items() if not _finite(value)]
    if wrong:
        yield Fault(field, f"{' and '.join(sorted(wrong))} must be a number.")
    elif len(limits) == 2 and limits["min"] > limits["max"]:
        yield Fault(
            field, f"min ({shown(limits['min'])}) is above max ({shown(limits['max'])}): no trial could keep it."
        )


def _reach_faults(field: str, metric: str, limits: Mapping[str, float]) -> Iterator[Fault]:
    """Limits that no trial could keep, since the metric doesn't go so far."""
    least, most = reach(metric)
    if "min" in limits and most is not None and limits["min"] > most:
        yield Fault(field, f"{metric} is at most {most:g}: no trial could have {shown(limits['min'])}.")
    if "max" in limits and least is not None and limits["max"] < least:
        yield Fault(field, f"{metric} is at least {least:g}: no trial could have {shown(limits['max'])}.")


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _limit(limits: Mapping[str, float], name: str) -> float | None:
    return float(limits[name]) if name in limits else None
