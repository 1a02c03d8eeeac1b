"""Grid and random search: what they ask, in which order, and when they end."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.search import InvalidSearch, Outcome, Point, Search, SearchSettings, Trial, create, rebuild
from services.optimizer.search.goal import Goal
from services.optimizer.search.grid import grid_levels
from tests.optimizer.search.tables import property_test, settings, space


def points_of(search: Search, count: int) -> list[Point]:
    """The points of so many trials, run one after the other."""
    points = []
    for _ in range(count):
        for suggestion in search.ask():
            points.append(suggestion.point)
            search.tell(suggestion.number, Outcome.succeeded({"quality_score": 0.5}))
    return points


def test_grid_is_cut_to_fit() -> None:
    """Ranges get as many levels as the trials allow, the fewest first; a learning rate's lie evenly by logarithm."""
    parsed = space({"epochs": [10, 50], "learning_rate": [1e-4, 1e-2], "log_frequency": {"choices": [True, False]}})
    levels = grid_levels(parsed, 12)
    assert levels == {
        "epochs": [10, 30, 50],
        "learning_rate": [1e-4, 1e-2],
        "log_frequency": [True, False],
    }
    assert grid_levels(parsed, 18)["learning_rate"] == [1e-4, 1e-3, 1e-2]


def test_grid_larger_than_the_trials() -> None:
    """A grid that can't be cut small enough is refused, saying how large it is."""
    parsed = space({"epochs": [10, 50], "pac": {"choices": [1, 2, 5, 10]}, "learning_rate": [1e-4, 1e-2]})
    with pytest.raises(InvalidSearch) as refused:
        create(parsed, settings("grid", 15))
    (fault,) = refused.value.faults
    assert fault.field == "search_space"
    assert "has 16 points (2 × 2 × 4); 15 trials are allowed" in fault.description


def test_grid_asks_each_point_once_and_ends() -> None:
    """A grid smaller than the number of trials ends when it is done, and asks no point twice."""
    parsed = space({"epochs": [10, 12], "batch_size": {"choices": [100, 101, 200]}})  # 101 becomes 100
    search = create(parsed, settings("grid", 100))
    points = points_of(search, 100)
    assert [(point["batch_size"], point["epochs"]) for point in points] == [
        (batch, epochs) for batch in (100, 200) for epochs in (10, 11, 12)
    ]
    assert search.exhausted
    assert search.ask(5) == []


@property_test
@given(low=st.floats(0.1, 0.9), width=st.floats(1e-9, 0.05), limit=st.integers(2, 60))
def test_grid_of_narrow_ranges(low: float, width: float, limit: int) -> None:
    """However narrow a range, its levels are different, in order, and no more than there may be trials."""
    try:
        parsed = space({"learning_rate": [low, low + width]})
    except InvalidSearch:
        return
    levels: list[Any] = [*grid_levels(parsed, limit)["learning_rate"]]
    assert len(levels) <= limit
    assert all(one < next_ for one, next_ in pairwise(levels))


def test_random_points_never_repeat() -> None:
    """Random search asks every point of a small space once, then ends."""
    parsed = space({"epochs": [10, 14], "log_frequency": {"choices": [True, False]}})
    search = create(parsed, settings("random", 50))
    points = points_of(search, 50)
    assert len(points) == len({parsed.key(point) for point in points}) == parsed.size == 10
    assert search.exhausted


def test_number_of_trials_ends_a_search() -> None:
    """No more trials are asked than there may be, however many are asked for."""
    search = create(space(), settings("random", 7))
    assert [suggestion.number for suggestion in search.ask(5)] == [1, 2, 3, 4, 5]
    assert not search.exhausted
    assert [suggestion.number for suggestion in search.ask(5)] == [6, 7]
    assert search.exhausted


@pytest.mark.parametrize("method", ["grid", "random"])
def test_rebuilt_search_goes_on_where_it_was(method: str) -> None:
    """A search rebuilt after any number of trials asks what the uninterrupted one asks, the running ones first."""
    whole = create(space(), settings(method))
    expected = [suggestion.point for suggestion in whole.ask(20)]
    interrupted = create(space(), settings(method))
    for suggestion in interrupted.ask(6):
        if suggestion.number not in (2, 5):
            interrupted.tell(suggestion.number, Outcome.succeeded({"quality_score": 0.5}))
    rebuilt = rebuild(space(), settings(method), reversed(interrupted.trials))
    first = rebuilt.ask(2)
    assert [suggestion.number for suggestion in first] == [2, 5]
    asked = {suggestion.number: suggestion.point for suggestion in (*first, *rebuilt.ask(20))}
    assert asked == {number: expected[number - 1] for number in (2, 5, *range(7, len(expected) + 1))}


def test_seeds_differ() -> None:
    """Another seed asks other points; the same seed the same, whatever the order of the request's fields."""
    one = create(space(), settings("random", seed=1)).ask(5)
    reordered = space({"learning_rate": [1e-4, 1e-2], "batch_size": [100, 1000], "epochs": [50, 200]})
    assert create(reordered, settings("random", seed=1)).ask(5) == one
    assert create(space(), settings("random", seed=2)).ask(5) != one


def test_told_twice() -> None:
    """Telling the same twice is telling it once; another outcome of the same trial is refused; so is an unknown one."""
    search = create(space(), settings("random"))
    (suggestion,) = search.ask()
    search.tell(suggestion.number, Outcome.succeeded({"quality_score": 0.5}))
    search.tell(suggestion.number, Outcome.succeeded({"quality_score": 0.5}))
    with pytest.raises(ValueError, match="Trial 1 was told to have ended as succeeded"):
        search.tell(suggestion.number, Outcome.failed("too large"))
    with pytest.raises(KeyError):
        search.tell(9, Outcome.failed("too large"))
    assert len(search.trials) == 1


def test_pending_that_is_told_is_not_asked_again() -> None:
    """After a rebuild, a running trial whose end arrives before it was asked again is not asked any more."""
    search = create(space(), settings("random"))
    search.ask(2)
    rebuilt = rebuild(space(), settings("random"), search.trials)
    rebuilt.tell(1, Outcome.failed("the worker died"))
    assert [suggestion.number for suggestion in rebuilt.ask(2)] == [2, 3]


def test_settings_are_checked_together() -> None:
    """All that is wrong with the settings is told at once."""
    wrong = SearchSettings("bayes", 0, -1, Goal(), acquisition_function="ei", reduction=1)
    with pytest.raises(InvalidSearch) as refused:
        create(space(), wrong)
    told = {fault.field: fault.description for fault in refused.value.faults}
    assert set(told) == {"optimization_method", "n_trials", "random_state", "acquisition_function", "reduction"}
    assert "did you mean bayesian?" in told["optimization_method"]


def test_suggestions_survive_their_record() -> None:
    """A suggestion comes back from its record as it was."""
    search = create(space(), settings("random"))
    (suggestion,) = search.ask()
    assert type(suggestion).from_record(suggestion.to_record()) == suggestion
    assert Trial(suggestion).scores == {}
