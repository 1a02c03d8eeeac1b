"""Hyperband: its budgets, promotions, stops at rungs, and what it does when trials fail, wait or are rebuilt."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.search import (
    InvalidSearch,
    Outcome,
    Search,
    Suggestion,
    Trial,
    create,
    rebuild,
)
from services.optimizer.search.brackets import brackets
from tests.optimizer.search.tables import COPULA, CTGAN, property_test, settings, space

RAW: Mapping[str, Any] = {"epochs": [20, 180], "learning_rate": [1e-4, 1e-2]}


def judged(suggestion: Suggestion) -> Outcome:
    """A score that a larger learning rate makes better, and more epochs a little."""
    values: dict[str, Any] = suggestion.point
    return Outcome.succeeded({"quality_score": values.get("learning_rate", 0) * 10 + values["epochs"] / 10_000})


def run(search: Search, judge: Callable[[Suggestion], Outcome] = judged, trials: int = 1000) -> list[Suggestion]:
    """Runs trials one after the other, until the search is exhausted."""
    asked: list[Suggestion] = []
    while len(asked) < trials and (suggestions := search.ask()):
        for suggestion in suggestions:
            asked.append(suggestion)
            search.tell(suggestion.number, judge(suggestion))
    return asked


def test_brackets_of_the_paper() -> None:
    """For R = 81 and η = 3 trials and epochs are those of the paper's table 1."""
    assert [[(rung.trials, rung.epochs) for rung in bracket.rungs] for bracket in brackets(1, 81, 3)] == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


@property_test
@given(least=st.integers(1, 100), times=st.integers(2, 50), reduction=st.integers(2, 5), limit=st.integers(0, 200))
def test_brackets_keep_their_bounds(least: int, times: int, reduction: int, limit: int) -> None:
    """Rungs grow in epochs within the range and shrink in trials; a shrunk bracket stays within the trainings left."""
    for bracket in brackets(least, least * times, reduction):
        epochs = [rung.epochs for rung in bracket.rungs]
        trials = [rung.trials for rung in bracket.rungs]
        assert epochs == sorted(set(epochs))
        assert least <= epochs[0]
        assert epochs[-1] == least * times
        assert trials == sorted(trials, reverse=True)
        assert trials[-1] >= 1
        shrunk = bracket.shrunk(limit)
        assert (shrunk is None) == (limit == 0)
        assert shrunk is None or shrunk.trainings <= limit


def test_trains_anew_at_each_rung() -> None:
    """A rung's trials come first, then the best of them again with more epochs; each of these names its parent."""
    search = create(space(RAW), settings("hyperband", 13))
    asked = run(search)
    assert Counter((suggestion.rung, suggestion.epochs) for suggestion in asked) == {
        (0, 20): 9,
        (1, 60): 3,
        (2, 180): 1,
    }
    assert all(
        suggestion.point["epochs"] == suggestion.epochs == suggestion.parameters["epochs"] for suggestion in asked
    )
    assert [suggestion.bracket for suggestion in asked] == [0] * 13
    by_number = {suggestion.number: suggestion for suggestion in asked}
    rates = {suggestion.number: float(str(suggestion.point["learning_rate"])) for suggestion in asked}
    first = sorted(range(1, 10), key=lambda number: rates[number], reverse=True)
    assert [suggestion.parent for suggestion in asked[9:12]] == first[:3]
    for suggestion in asked[9:]:
        parent = by_number[suggestion.parent or 0]
        assert {**suggestion.point, "epochs": 0} == {**parent.point, "epochs": 0}
    assert asked[12].parent == asked[9].number
    assert search.exhausted


def test_uses_up_the_trials() -> None:
    """Further brackets follow, the last of them smaller, until all trials are used; no point begins twice."""
    search = create(space(RAW), settings("hyperband", 50))
    asked = run(search)
    assert len(asked) == 50
    assert search.exhausted
    first = [suggestion for suggestion in asked if suggestion.rung == 0]
    assert len({suggestion.point["learning_rate"] for suggestion in first}) == len(first)
    assert Counter(suggestion.bracket for suggestion in asked) == {0: 13, 1: 6, 2: 3, 3: 13, 4: 6, 5: 3, 6: 6}


def test_failed_trials_are_not_promoted() -> None:
    """The next best go on in the place of those that failed; if all fail, the next bracket begins."""

    def judge(suggestion: Suggestion) -> Outcome:
        values: dict[str, Any] = suggestion.point
        return Outcome.failed("diverged") if values["learning_rate"] > 1e-3 else judged(suggestion)

    asked = run(create(space(RAW), settings("hyperband", 13)), judge)
    assert all(float(str(suggestion.point["learning_rate"])) <= 1e-3 for suggestion in asked if suggestion.rung != 0)
    search = create(space(RAW), settings("hyperband", 22))
    asked = run(search, lambda _suggestion: Outcome.failed("no memory"))
    assert {suggestion.rung for suggestion in asked} == {0}
    assert search.exhausted


def test_parallel_trials_wait_or_begin_the_next_bracket() -> None:
    """A rung waits for those that run; meanwhile the next bracket begins, and nothing is promoted too early."""
    search = create(space(RAW), settings("hyperband", 22))
    first = search.ask(9)
    following = search.ask(20)
    assert {suggestion.bracket for suggestion in following} == {1, 2}
    assert search.ask(5) == []
    assert not search.exhausted
    for suggestion in first:
        search.tell(suggestion.number, judged(suggestion))
    assert [(suggestion.bracket, suggestion.rung) for suggestion in search.ask(20)] == [(0, 1)] * 3


@pytest.mark.parametrize("interrupted_after", range(0, 22, 3))
def test_rebuilt_search_goes_on_where_it_was(interrupted_after: int) -> None:
    """A search rebuilt from its record asks what the uninterrupted one asks, the running trial first."""
    whole = run(create(space(RAW), settings("hyperband", 22)))
    search = create(space(RAW), settings("hyperband", 22))
    run(search, trials=interrupted_after)
    search.ask()
    recorded = [
        Trial(Suggestion.from_record(json.loads(json.dumps(trial.suggestion.to_record()))), trial.outcome)
        for trial in search.trials
    ]
    assert run(rebuild(space(RAW), settings("hyperband", 22), recorded)) == whole[interrupted_after:]


def test_stops_trials_at_rungs() -> None:
    """Where models are scored while they train, a trial goes on from a rung only among the best third so far."""
    search = create(space(RAW), settings("hyperband", 9, scores_while_training=True))
    asked = search.ask(9)
    assert {(suggestion.epochs, suggestion.rungs) for suggestion in asked} == {(180, (20, 60))}
    scores = [0.5, 0.4, 0.6, 0.55, 0.7, 0.1, 0.65, 0.2, 0.3]
    decisions = []
    for suggestion, score in zip(asked, scores, strict=True):
        assert search.report(suggestion.number, 7, {"quality_score": 0.0})  # no rung yet
        decisions.append(search.report(suggestion.number, 20, {"quality_score": score}))
        if not decisions[-1]:
            search.tell(suggestion.number, Outcome.pruned({"quality_score": score}))
    assert decisions == [True, False, True, False, True, False, True, False, False]
    assert search.report(asked[0].number, 21, {"quality_score": 0.0})  # it was judged there
    assert search.report(asked[0].number, 61, {"quality_score": 0.6})  # the first at this rung
    assert not search.report(asked[2].number, 61, {"quality_score": 0.5})
    assert search.report(asked[4].number, 60, {})  # no score to be judged by
    assert search.exhausted


def test_scored_while_training_in_several_brackets() -> None:
    """Every trial is a point of its own then, and later brackets have fewer rungs."""
    search = create(space(RAW), settings("hyperband", 30, scores_while_training=True))
    asked = search.ask(30)
    assert Counter((suggestion.bracket, suggestion.rungs) for suggestion in asked) == {
        (0, (20, 60)): 9,
        (1, (60,)): 5,
        (2, ()): 3,
        (3, (20, 60)): 9,
        (4, (60,)): 4,
    }
    assert search.exhausted


def test_epochs_in_force_are_the_most() -> None:
    """Epochs that aren't searched are halved from those in force down to the fewest that the model takes."""
    rates = {"learning_rate": [1e-4, 1e-2]}
    asked = run(create(space(rates, fixed={"epochs": 90}), settings("hyperband", 13)))
    assert {suggestion.epochs for suggestion in asked} == {10, 30, 90}
    chosen = {"epochs": {"choices": [10, 30]}, **rates}
    assert {suggestion.epochs for suggestion in run(create(space(chosen), settings("hyperband", 4)))} == {10, 30}


def test_few_points() -> None:
    """A space of fewer points than a bracket begins with is halved as it is, and then exhausted."""
    raw = {"epochs": [20, 180], "log_frequency": {"choices": [True, False]}}
    search = create(space(raw), settings("hyperband", 50))
    asked = run(search)
    assert Counter((suggestion.rung, suggestion.epochs) for suggestion in asked) == {
        (0, 20): 2,
        (1, 60): 2,
        (2, 180): 1,
    }
    assert search.exhausted


@pytest.mark.parametrize(
    ("raw", "parameters", "n_trials", "field", "words"),
    [
        ({"default_distribution": {"choices": ["norm", "beta"]}}, COPULA, 20, "optimization_method", "has none"),
        ({"epochs": [50, 100], "pac": [1, 5]}, CTGAN, 20, "search_space.epochs", "50 to 100 is too narrow"),
        ({"epochs": [50, 200]}, CTGAN, 20, "search_space", "name other parameters to search"),
        ({"epochs": [50, 200], "pac": [1, 5]}, CTGAN, 3, "n_trials", "at least 4 trials"),
    ],
)
def test_nothing_to_halve(raw: Any, parameters: Any, n_trials: int, field: str, words: str) -> None:
    """Without epochs, with too narrow a range of them, nothing else to search or too few trials it is refused."""
    with pytest.raises(InvalidSearch) as refused:
        create(space(raw, parameters), settings("hyperband", n_trials))
    (fault,) = refused.value.faults
    assert fault.field == field
    assert words in fault.description
