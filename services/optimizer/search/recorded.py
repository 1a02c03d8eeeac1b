"""What all methods of searching have in common: a record of what was asked and told."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from threading import RLock
from typing import SupportsFloat

from services.optimizer.search.settings import SearchSettings
from services.optimizer.search.space import Point, Space
from services.optimizer.search.trials import Outcome, Suggestion, Trial, plain_scores


class RecordedSearch(ABC):
    """A search that decides what to ask next from its record alone; see Search.

    A subclass says in `_next` what the next trial is, from `_trials` (by number, in the order in which they were asked)
    and nothing else that was told; what it keeps beside that is only what it could work out again.
    """

    def __init__(self, space: Space, settings: SearchSettings) -> None:
        self._space = space
        self._settings = settings
        self._lock = RLock()
        self._trials: dict[int, Trial] = {}
        self._again: deque[int] = deque()

    @abstractmethod
    def _next(self, number: int) -> Suggestion | None:
        """The trial to run next, under this number; None if there is none, or none before another trial ends."""

    @abstractmethod
    def _may_go_on(self) -> bool:
        """Whether, apart from the number of trials, there is or may come something to ask."""

    def adopt(self, trials: Iterable[Trial]) -> None:
        """Takes over a record. Trials that ran will be asked again, under their numbers, before anything new.

        Raises ValueError if a point isn't one of this space's.
        """
        with self._lock:
            for trial in sorted(trials, key=lambda each: each.number):
                suggestion = replace(trial.suggestion, point=self._space.adopt(trial.suggestion.point))
                self._trials[trial.number] = replace(trial, suggestion=suggestion)
                if trial.outcome is None:
                    self._again.append(trial.number)

    def ask(self, count: int = 1) -> list[Suggestion]:
        """At most `count` trials to run now; see Search."""
        asked: list[Suggestion] = []
        with self._lock:
            while len(asked) < count:
                suggestion = self._ask_again() or self._ask_new()
                if suggestion is None:
                    break
                asked.append(suggestion)
        return asked

    def report(self, number: int, epochs: int, scores: Mapping[str, SupportsFloat | None]) -> bool:
        """Takes scores on the way; whether the trial may go on."""
        with self._lock:
            trial = self._trials[number].with_report(epochs, plain_scores(scores))
            self._trials[number] = trial
            return self._goes_on(trial, epochs)

    def tell(self, number: int, outcome: Outcome) -> None:
        """Takes how a trial ended; see Search."""
        with self._lock:
            trial = self._trials[number]
            if trial.outcome is not None and trial.outcome != outcome:
                raise ValueError(f"Trial {number} was told to have ended as {trial.outcome.ending}, with other scores.")
            self._trials[number] = replace(trial, outcome=outcome)

    @property
    def exhausted(self) -> bool:
        """Whether nothing will be asked any more."""
        with self._lock:
            if any(self._trials[number].outcome is None for number in self._again):
                return False
            return len(self._trials) >= self._settings.n_trials or not self._may_go_on()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, in the order in which they were asked."""
        with self._lock:
            return tuple(self._trials.values())

    def _goes_on(self, trial: Trial, epochs: int) -> bool:
        """Whether a trial that has just reported may go on."""
        del trial, epochs
        return True

    def _suggestion(self, number: int, point: Point) -> Suggestion:
        return Suggestion(number, point, self._space.model_parameters(point))

    def _seen(self) -> set[str]:
        """The keys of all points that were asked."""
        return {self._space.key(trial.suggestion.point) for trial in self._trials.values()}

    def _ask_again(self) -> Suggestion | None:
        while self._again:
            trial = self._trials[self._again.popleft()]
            if trial.outcome is None:
                return trial.suggestion
        return None

    def _ask_new(self) -> Suggestion | None:
        if len(self._trials) >= self._settings.n_trials:
            return None
        suggestion = self._next(max(self._trials, default=0) + 1)
        if suggestion is not None:
            self._trials[suggestion.number] = Trial(suggestion)
        return suggestion
