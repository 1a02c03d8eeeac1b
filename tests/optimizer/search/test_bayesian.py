"""Bayesian search: replays, parallel trials, failures, small spaces, and that it finds what random search doesn't."""

import json
import math
import statistics
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from services.optimizer.search import (
    ACQUISITION_FUNCTIONS,
    Cap,
    Goal,
    Outcome,
    Point,
    Search,
    Suggestion,
    Trial,
    create,
    rebuild,
)
from services.optimizer.search.losses import losses
from tests.optimizer.search.tables import settings, space

MIXED = {
    "epochs": [50, 200],
    "learning_rate": [1e-4, 1e-2],
    "pac": {"choices": [1, 5, 10]},
    "log_frequency": {"choices": [True, False]},
    "generator_dim": {"choices": [[64, 64], [128, 128], [256]]},
}


def quality(point: Point) -> float:
    """A hill with its top, 0.9, at a learning rate of 10^-3.2 and 150 epochs."""
    values: dict[str, Any] = point
    return float(0.9 - 0.1 * (math.log10(values["learning_rate"]) + 3.2) ** 2 - 0.1 * (values["epochs"] / 150 - 1) ** 2)


def judged(suggestion: Suggestion) -> Outcome:
    """How a trial on the hill ends."""
    return Outcome.succeeded({"quality_score": quality(suggestion.point)})


def run(search: Search, trials: int, judge: Callable[[Suggestion], Outcome] = judged) -> list[Point]:
    """Runs so many trials one after the other; their points."""
    points = []
    for _ in range(trials):
        for suggestion in search.ask():
            points.append(suggestion.point)
            search.tell(suggestion.number, judge(suggestion))
    return points


@pytest.mark.parametrize("acquisition", ACQUISITION_FUNCTIONS)
def test_same_study_twice_and_rebuilt(acquisition: str) -> None:
    """The same study asks the same points again, also when it is rebuilt from its record in the middle."""
    given = settings("bayesian", 12, acquisition_function=acquisition)
    whole = create(space(MIXED), given)
    expected = run(whole, 12)
    interrupted = create(space(MIXED), given)
    run(interrupted, 8)
    (pending,) = interrupted.ask()
    recorded = [
        Trial(Suggestion.from_record(json.loads(json.dumps(trial.suggestion.to_record()))), trial.outcome)
        for trial in interrupted.trials
    ]
    rebuilt = rebuild(space(MIXED), given, recorded)
    assert run(rebuilt, 4) == expected[8:]
    assert pending.point == expected[8]
    assert [trial.suggestion for trial in rebuilt.trials] == [trial.suggestion for trial in whole.trials]
    assert rebuilt.exhausted


def test_seeds_differ() -> None:
    """Another seed asks other points."""
    assert run(create(space(), settings("bayesian", 8)), 7) != run(create(space(), settings("bayesian", 8, 43)), 7)


def test_first_trials_are_a_latin_hypercube() -> None:
    """The first trials lie in different slices of every range: as many slices as there are such trials."""
    search = create(space(), settings("bayesian", 20))
    places = [space().encode(suggestion.point) for suggestion in search.ask(6)]
    for units in zip(*places, strict=True):
        slices = sorted(min(int(unit * 6), 5) for unit in units)
        assert len(set(slices)) >= 5  # rounding to whole numbers and packs may move one over a border


def test_plain_values_only() -> None:
    """Nothing of numpy leaks: every asked value is plain Python and survives JSON."""
    for point in run(create(space(MIXED), settings("bayesian", 9)), 9):
        assert {type(value) for value in point.values()} <= {int, float, bool, list}
        assert json.loads(json.dumps(point)) == point


def test_finds_the_hill() -> None:
    """After 20 trials it is nearer to the top than random search is, in the median of three seeds."""

    def reached(method: str, seed: int) -> float:
        raw = {"epochs": [10, 300], "learning_rate": [1e-6, 1e-1]}
        return max(map(quality, run(create(space(raw), settings(method, 20, seed)), 20)))

    bayesian = statistics.median(reached("bayesian", seed) for seed in range(3))
    random = statistics.median(reached("random", seed) for seed in range(3))
    assert bayesian >= random
    assert bayesian > 0.895


def test_parallel_trials_spread() -> None:
    """Trials asked together are all different, and far apart although the process expects most in one place."""
    raw = {"epochs": [50, 200], "learning_rate": [1e-4, 1e-2]}
    search = create(space(raw), settings("bayesian", 20))
    run(search, 8)
    together = search.ask(4)
    places = [space(raw).encode(suggestion.point) for suggestion in together]
    assert min(math.dist(one, other) for n, one in enumerate(places) for other in places[:n]) > 0.01
    assert len({space(raw).key(suggestion.point) for suggestion in together}) == 4


def test_asked_together_or_one_by_one() -> None:
    """Four trials asked at once are the four that are asked one by one before any has ended."""
    at_once, one_by_one = (create(space(), settings("bayesian", 20)) for _ in range(2))
    run(at_once, 8)
    run(one_by_one, 8)
    assert at_once.ask(4) == [suggestion for _ in range(4) for suggestion in one_by_one.ask()]


def test_told_out_of_order() -> None:
    """What is asked next depends on how the running trials ended, not on which ended first."""
    forward, backward = (create(space(), settings("bayesian", 20)) for _ in range(2))
    for search, step in ((forward, 1), (backward, -1)):
        for suggestion in search.ask(8)[::step]:
            search.tell(suggestion.number, judged(suggestion))
    assert forward.ask() == backward.ask()


def test_keeps_away_from_failures() -> None:
    """Where trials fail, few more are asked: they count as the worst."""

    def judge(suggestion: Suggestion) -> Outcome:
        values: dict[str, Any] = suggestion.point
        return Outcome.failed("it diverged") if values["learning_rate"] > 1e-3 else judged(suggestion)

    raw = {"epochs": [50, 200], "learning_rate": [1e-4, 1e-2]}
    points: list[Any] = run(create(space(raw), settings("bayesian", 20)), 20, judge)
    assert sum(point["learning_rate"] > 1e-3 for point in points[10:]) <= 3


def test_every_trial_failing() -> None:
    """A search in which everything fails goes on to new points and ends."""
    search = create(space(), settings("bayesian", 12))
    points = run(search, 12, lambda _suggestion: Outcome.failed("no memory"))
    assert len({space().key(point) for point in points}) == 12
    assert search.exhausted


@pytest.mark.parametrize("acquisition", ACQUISITION_FUNCTIONS)
def test_small_space_is_asked_whole(acquisition: str) -> None:
    """In a space of fewer points than trials each is asked once; then the search is exhausted."""
    raw = {"batch_size": {"choices": [100, 104, 200]}, "log_frequency": {"choices": [True, False]}, "epochs": [10, 11]}
    search = create(space(raw), settings("bayesian", 30, acquisition_function=acquisition))

    def judge(suggestion: Suggestion) -> Outcome:
        return Outcome.succeeded({"quality_score": 0.5 + suggestion.number % 3 / 10})

    points = run(search, 30, judge)
    assert len(points) == len({space(raw).key(point) for point in points}) == space(raw).size == 8
    assert search.exhausted


def test_caps_and_objectives_are_searched() -> None:
    """Under a cap the search goes where the cap is kept; with two objectives it asks and ends as with one."""

    def judge(suggestion: Suggestion) -> Outcome:
        values: dict[str, Any] = suggestion.point
        scores = {"quality_score": values["epochs"] / 200, "privacy.membership_auc": 0.5 + values["epochs"] / 1000}
        return Outcome.succeeded(scores)

    raw = {"epochs": [10, 200]}
    capped = Goal(caps=(Cap("privacy.membership_auc", maximum=0.6),))
    points: list[Any] = run(create(space(raw), settings("bayesian", 14, goal=capped)), 14, judge)
    assert max(point["epochs"] for point in points if point["epochs"] <= 100) >= 90
    assert statistics.fmean(point["epochs"] <= 100 for point in points[7:]) > 0.5
    two = Goal(("quality_score", "privacy.membership_auc"))
    assert len(run(create(space(raw), settings("bayesian", 9, goal=two)), 9, judge)) == 9


def trials(*ends: Outcome) -> list[Trial]:
    """Trials that ended so."""
    return [Trial(Suggestion(number, {}, {}), end) for number, end in enumerate(ends, 1)]


def test_losses() -> None:
    """Losses are standardised; failures are as bad as the worst, broken caps worse than what keeps them, by how far."""
    goal = Goal(caps=(Cap("privacy.membership_auc", maximum=0.6),))
    told = trials(
        Outcome.succeeded({"quality_score": 0.9, "privacy.membership_auc": 0.5}),
        Outcome.succeeded({"quality_score": 0.7, "privacy.membership_auc": 0.6}),
        Outcome.succeeded({"quality_score": 1.0, "privacy.membership_auc": 0.7}),
        Outcome.succeeded({"quality_score": 1.0, "privacy.membership_auc": 0.8}),
        Outcome.failed(),
        Outcome.succeeded({"privacy.membership_auc": 0.5}),
    )
    values = losses(goal, told, seed=1, number=7)
    assert values is not None
    assert values[0] < values[1] < values[2] < values[3] == values[4] == values[5]
    assert statistics.fmean(values) == pytest.approx(0)
    assert statistics.pstdev(values) == pytest.approx(1)
    beyond = losses(goal, told[2:4], seed=1, number=7)
    assert beyond is not None
    assert beyond[0] < beyond[1]
    assert losses(goal, told[4:], seed=1, number=7) is None
    assert losses(goal, told[:1], seed=1, number=7) == [0.0]


def test_losses_of_two_objectives() -> None:
    """With two objectives the weights change from trial to trial, and what dominates is never worse."""
    goal = Goal(("quality_score", "privacy.membership_auc"))
    told = trials(
        Outcome.succeeded({"quality_score": 0.9, "privacy.membership_auc": 0.7}),
        Outcome.succeeded({"quality_score": 0.5, "privacy.membership_auc": 0.5}),
        Outcome.succeeded({"quality_score": 0.4, "privacy.membership_auc": 0.75}),
    )
    firsts = set()
    for number in range(30):
        values = losses(goal, told, seed=1, number=number)
        assert values is not None
        assert values[2] == max(values)
        firsts.add(values[0] < values[1])
    assert firsts == {True, False}


def test_from_several_threads() -> None:
    """Threads that ask and tell at once get every trial once, and none is lost."""
    search = create(space(), settings("bayesian", 16))

    def work() -> None:
        while suggestions := search.ask():
            for suggestion in suggestions:
                search.tell(suggestion.number, judged(suggestion))

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [trial.number for trial in search.trials] == list(range(1, 17))
    assert all(trial.outcome is not None for trial in search.trials)
