"""Hyperband over epochs (Li et al., Hyperband, JMLR 18, 2018)."""

from dataclasses import replace
from itertools import cycle

from services.optimizer.search.bests import ranked
from services.optimizer.search.brackets import Bracket, Rung, brackets
from services.optimizer.search.domains import IntegerRange
from services.optimizer.search.faults import Fault, InvalidSearch
from services.optimizer.search.parameters import EPOCHS
from services.optimizer.search.recorded import RecordedSearch
from services.optimizer.search.sequences import RandomPoints
from services.optimizer.search.settings import SearchSettings
from services.optimizer.search.space import Point, Space
from services.optimizer.search.trials import Outcome, Suggestion, Trial


class HyperbandSearch(RecordedSearch):
    """Trains many points for few epochs and the best of them for more, in several brackets; see `brackets`.

    Epochs aren't drawn but allotted: at most the most that the search space allows, at least its fewest. The points,
    without the epochs, are random ones. After the last bracket the first comes again, until all trials are used up.
    A bracket has as many halvings as leave it within the number of trials; what is left at the end is a smaller one.

    Where a model can't be scored while it trains, each rung trains anew: a trial of a later rung has the parameters of
    its `parent` and more epochs, and is asked when all of the rung before have ended. While they haven't, the next
    bracket begins. A failed trial isn't promoted; the next best is in its place.

    Where it can (`scores_while_training`), a trial trains on from rung to rung, and `report` stops it at a rung unless
    it is among the best 1/η of its bracket's trials that have been there so far; the first always goes on (the stopping
    rule of Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020, section 3). So none waits for
    another.

    Raises InvalidSearch where there is nothing to halve: no epochs, too narrow a range, too few trials, or nothing else
    to search.
    """

    def __init__(self, space: Space, settings: SearchSettings) -> None:
        least, most = _epochs(space, settings)
        super().__init__(space.having(IntegerRange(EPOCHS, least, most)), settings)
        self._points = RandomPoints(space.without(EPOCHS), settings.seed)
        self._anew = not settings.scores_while_training
        self._brackets = self._schedule(least, most)

    def _next(self, number: int) -> Suggestion | None:
        begun = 0
        for place, bracket in enumerate(self._brackets):
            suggestion = self._next_of(number, place, bracket, begun)
            if suggestion is not None:
                return suggestion
            begun += bracket.rungs[0].trials
        return None

    def _may_go_on(self) -> bool:
        return not all(self._is_over(place, bracket) for place, bracket in enumerate(self._brackets))

    def _goes_on(self, trial: Trial, epochs: int) -> bool:
        rung = max((each for each in trial.suggestion.rungs if each <= epochs), default=None)
        if rung is None or _reached(trial, rung) != epochs:
            return True  # at no rung, or it was judged there before
        there = [
            replace(other, outcome=Outcome.pruned(other.reports[at]))
            for other in self._trials.values()
            if other.suggestion.bracket == trial.suggestion.bracket and (at := _reached(other, rung)) is not None
        ]
        order = [other.number for other in ranked(self._settings.goal, there)]
        if trial.number not in order:
            return True  # its score couldn't be computed there, which isn't its fault
        return order.index(trial.number) < max(len(order) // self._settings.reduction, 1)

    def _schedule(self, least: int, most: int) -> list[Bracket]:
        """All brackets of the search, within the number of trials and the number of different points."""
        whole = brackets(least, most, self._settings.reduction, self._halvings(least, most))
        trials, points, schedule = self._settings.n_trials, self._points.size, list[Bracket]()
        for bracket in cycle(whole):
            fitting = bracket.shrunk(trials) if self._anew else _with_fewer(bracket, trials)
            if fitting is not None and points is not None:
                fitting = _with_fewer(fitting, points)
            if fitting is None:
                return schedule
            schedule.append(fitting)
            trials -= self._cost(fitting)
            points = None if points is None else points - fitting.rungs[0].trials
        return schedule

    def _halvings(self, least: int, most: int) -> int:
        """The most halvings by which the first bracket stays within the number of trials."""
        possible = len(brackets(least, most, self._settings.reduction)) - 1
        for halvings in range(possible, 0, -1):
            first = brackets(least, most, self._settings.reduction, halvings)[0]
            if self._cost(first) <= self._settings.n_trials:
                return halvings
        needed = self._cost(brackets(least, most, self._settings.reduction, 1)[0])
        message = f"Hyperband takes at least {needed} trials to choose between; take more, or another method."
        raise InvalidSearch([Fault("n_trials", message)])

    def _cost(self, bracket: Bracket) -> int:
        return bracket.trainings if self._anew else bracket.rungs[0].trials

    def _next_of(self, number: int, place: int, bracket: Bracket, begun: int) -> Suggestion | None:
        """The next trial of a bracket, None if it waits or is over; `begun` points were taken by those before it."""
        first = self._at(place, 0)
        if len(first) < bracket.rungs[0].trials:
            point = self._points.at(begun + len(first))
            return None if point is None else self._begun(number, place, bracket, point)
        if self._anew:
            for rung in range(1, len(bracket.rungs)):
                before = self._at(place, rung - 1)
                if any(trial.outcome is None for trial in before):
                    return None
                promoted = ranked(self._settings.goal, before)[: bracket.rungs[rung].trials]
                there = {trial.suggestion.parent for trial in self._at(place, rung)}
                for trial in promoted:
                    if trial.number not in there:
                        return self._promoted(number, place, rung, bracket, trial)
        return None

    def _is_over(self, place: int, bracket: Bracket) -> bool:
        trials = self._at(place, 0)
        if len(trials) < bracket.rungs[0].trials:
            return False
        if not self._anew:
            return True
        for rung in range(1, len(bracket.rungs)):
            if any(trial.outcome is None for trial in trials):
                return False
            promoted = ranked(self._settings.goal, trials)[: bracket.rungs[rung].trials]
            trials = self._at(place, rung)
            if len(trials) < len(promoted):
                return False
        return True

    def _at(self, place: int, rung: int) -> list[Trial]:
        """The trials that were asked for a rung of a bracket."""
        return [
            trial
            for trial in self._trials.values()
            if trial.suggestion.bracket == place and trial.suggestion.rung == rung
        ]

    def _begun(self, number: int, place: int, bracket: Bracket, point: Point) -> Suggestion:
        epochs = bracket.rungs[0].epochs if self._anew else bracket.rungs[-1].epochs
        rungs = () if self._anew else tuple(rung.epochs for rung in bracket.rungs[:-1])
        suggestion = self._suggestion(number, _with_epochs(point, epochs))
        return replace(suggestion, epochs=epochs, rungs=rungs, bracket=place, rung=0)

    def _promoted(self, number: int, place: int, rung: int, bracket: Bracket, trial: Trial) -> Suggestion:
        epochs = bracket.rungs[rung].epochs
        suggestion = self._suggestion(number, _with_epochs(trial.suggestion.point, epochs))
        return replace(suggestion, epochs=epochs, bracket=place, rung=rung, parent=trial.number)


def _epochs(space: Space, settings: SearchSettings) -> tuple[int, int]:
    """The fewest and the most epochs. Raises InvalidSearch if they can't be halved, or nothing else is searched."""
    if space.epochs is None:
        message = "Hyperband halves over epochs, and this model has none; take another method."
        raise InvalidSearch([Fault("optimization_method", message)])
    least, most = space.epochs
    faults = []
    if least * settings.reduction > most:
        message = (
            f"Hyperband needs a range of epochs whose end is at least {settings.reduction} times its beginning; "
            f"{least} to {most} is too narrow."
        )
        faults.append(Fault(f"search_space.{EPOCHS}", message))
    if space.without(EPOCHS).size == 1:
        faults.append(Fault("search_space", "Hyperband allots the epochs by itself; name other parameters to search."))
    if faults:
        raise InvalidSearch(faults)
    return least, most


def _with_epochs(point: Point, epochs: int) -> Point:
    return dict(sorted({**point, EPOCHS: epochs}.items()))


def _with_fewer(bracket: Bracket, points: int) -> Bracket | None:
    """A bracket that begins with at most so many points; None for no points."""
    if points <= 0:
        return None
    return Bracket(tuple(Rung(min(rung.trials, points), rung.epochs) for rung in bracket.rungs))


def _reached(trial: Trial, rung: int) -> int | None:
    """After how many epochs a trial first reported at or beyond a rung; None if it hasn't yet."""
    return min((epochs for epochs in trial.reports if epochs >= rung), default=None)
