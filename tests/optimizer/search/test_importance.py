"""How much each parameter matters."""

import math
from typing import Any

import pytest

from services.optimizer.search import Outcome, Point, Space, Suggestion, Trial, create
from services.optimizer.search.importance import importance
from tests.optimizer.search.tables import settings, space

RAW = {
    "epochs": [50, 200],
    "learning_rate": [1e-4, 1e-2],
    "log_frequency": {"choices": [True, False]},
    "generator_dim": {"choices": [[64, 64], [128, 128], [256]]},
}


def told(parsed: Space, count: int, score: Any) -> list[Trial]:
    """Random trials with the quality score that a function gives their points."""
    search = create(parsed, settings("random", count))
    return [
        Trial(suggestion, Outcome.succeeded({"quality_score": score(suggestion.point)}))
        for suggestion in search.ask(count)
    ]


def by_rate(point: dict[str, Any]) -> float:
    """Much of the learning rate, a little of the layers."""
    return float(math.log10(point["learning_rate"]) + 0.2 * (point["generator_dim"] == [256]))


def test_what_matters_comes_first() -> None:
    """Shares add up to 1 and follow what the scores were made of; the same trials give the same shares."""
    trials = told(space(RAW), 40, by_rate)
    found = importance(space(RAW), "quality_score", trials)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["learning_rate"] > 0.8
    assert found.shares["generator_dim"] > max(found.shares["epochs"], found.shares["log_frequency"])
    assert {type(share) for share in found.shares.values()} == {float}
    assert found.explained is not None
    assert found.explained > 0.7
    assert found.trials == 40
    assert importance(space(RAW), "quality_score", trials) == found


def test_too_few_trials() -> None:
    """Below twelve scored trials of four parameters it says how many it takes, and failures don't count."""
    trials = told(space(RAW), 11, by_rate)
    trials += [Trial(Suggestion(number, {}, {}), Outcome.failed()) for number in range(12, 30)]
    found = importance(space(RAW), "quality_score", trials)
    assert found.shares == {}
    assert found.reason == "11 trials have quality_score; it takes 12 to tell which parameters matter."


def test_nothing_to_explain() -> None:
    """Where all scores are the same there are no shares, and it says so; so for a metric that no trial has."""
    trials = told(space(RAW), 20, lambda _point: 0.5)
    found = importance(space(RAW), "quality_score", trials)
    assert (found.shares, found.reason) == ({}, "quality_score is the same in all trials.")
    assert importance(space(RAW), "privacy", trials).reason.startswith("0 trials have privacy")


def test_noise_is_told_as_such() -> None:
    """Scores that have nothing to do with the parameters aren't explained, which it says."""
    parsed = space(RAW)

    def noise(point: Point) -> float:
        return hash(parsed.key(point).encode().hex()[:1]) % 7 + (sum(map(ord, parsed.key(point))) * 7919) % 101

    found = importance(parsed, "quality_score", told(parsed, 30, noise))
    assert found.explained is not None
    assert found.explained < 0.3


def test_allotted_epochs_count() -> None:
    """The epochs that Hyperband allots are a parameter like the others, though they weren't searched."""
    raw = {"learning_rate": [1e-4, 1e-2]}
    search = create(space(raw, fixed={"epochs": 270}), settings("hyperband", 40))
    trials = []
    while suggestions := search.ask():
        for suggestion in suggestions:
            values: dict[str, Any] = suggestion.point
            search.tell(suggestion.number, Outcome.succeeded({"quality_score": values["epochs"] / 270}))
    trials = list(search.trials)
    assert importance(space(raw), "quality_score", trials).shares["epochs"] > 0.9
