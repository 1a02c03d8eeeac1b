"""What is sought, under which caps, and which trials are the best of a search."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.search import Cap, Direction, Goal, InvalidSearch, Outcome, Suggestion, Trial, parse_goal
from services.optimizer.search.bests import best, best_so_far, pareto, ranked, trials_without_gain
from services.optimizer.search.metrics import METRICS, PARTS, direction
from tests.optimizer.search.tables import property_test

QUALITY = Goal()
CAPPED = Goal(caps=(Cap("privacy.membership_auc", maximum=0.55),))
TWO = Goal(("quality_score", "privacy.membership_auc"))


def trial(number: int, outcome: Outcome | Mapping[str, float] | None) -> Trial:
    """A trial that ended so, or succeeded with these scores."""
    suggestion = Suggestion(number, {"epochs": 10 + number}, {})
    ended = Outcome.succeeded(outcome) if isinstance(outcome, Mapping) else outcome
    return Trial(suggestion, ended)


def numbers(trials: list[Trial]) -> list[int]:
    """Their numbers."""
    return [each.number for each in trials]


def number_of(found: Trial | None) -> int | None:
    """Its number, None if there is none."""
    return None if found is None else found.number


def test_directions() -> None:
    """More of a score is better, less of an attack's success; every part has a direction."""
    assert direction("quality_score") is Direction.MAXIMIZE
    assert direction("privacy.membership_auc") is Direction.MINIMIZE
    assert {direction(part) for part in PARTS} == {Direction.MAXIMIZE}
    assert all(direction(metric) for metric in METRICS)


def test_request_of_a_goal() -> None:
    """The metric, or objectives in its place, and caps are understood."""
    assert parse_goal() == QUALITY
    assert parse_goal("privacy") == Goal(("privacy",))
    assert parse_goal(objectives=["quality_score", "privacy.membership_auc"]) == TWO
    caps = {"privacy.membership_auc": {"max": 0.55}, "ml_efficacy": {"min": 0.5, "max": 1}}
    assert parse_goal(caps=caps) == Goal(
        caps=(Cap("ml_efficacy", 0.5, 1.0), Cap("privacy.membership_auc", maximum=0.55))
    )


def test_wrong_goal_is_told_at_once() -> None:
    """Unknown metrics, doubles, empty caps and caps that nothing keeps are refused together."""
    caps: dict[str, Any] = {
        "privacy.membership": {"max": 0.5},
        "privacy": {"min": 0.9, "max": 0.1},
        "ml_efficacy": {},
        "quality_score": {"max": "high"},
        "correlation_preservation": 0.5,
    }
    reasons = {"ml_efficacy": "No target."}
    with pytest.raises(InvalidSearch) as refused:
        parse_goal(objectives=["quality", "privacy", "privacy", 7], caps=caps, unmeasurable=reasons)
    told = [(fault.field, fault.description) for fault in refused.value.faults]
    fields = {field for field, _ in told}
    assert fields == {"objectives", *(f"caps.{name}" for name in caps)}
    text = "\n".join(f"{field}: {description}" for field, description in told)
    assert "objectives: There is no such metric; did you mean quality_score?" in text
    assert 'objectives: "privacy" is given twice.' in text
    assert "objectives: 7 is not a metric's name." in text
    assert "caps.privacy.membership: There is no such metric; did you mean privacy.membership_auc?" in text
    assert "caps.privacy: min (0.9) is above max (0.1): no trial could keep it." in text
    assert "caps.ml_efficacy: ml_efficacy can't be computed on this table: No target." in text
    assert 'caps.correlation_preservation: Give it as {"max": 0.55}' in text


def test_best_keeps_the_caps() -> None:
    """A trial that breaks a cap is never the best, however good; nor one that failed, was pruned, or lacks a score."""
    trials = [
        trial(1, {"quality_score": 0.99, "privacy.membership_auc": 0.6}),
        trial(2, {"quality_score": 0.7, "privacy.membership_auc": 0.55}),
        trial(3, {"quality_score": 0.98}),
        trial(4, Outcome.failed("too large")),
        trial(5, Outcome.pruned({"quality_score": 0.97, "privacy.membership_auc": 0.5})),
        trial(6, {"privacy.membership_auc": 0.5}),
        trial(7, {"quality_score": float("nan"), "privacy.membership_auc": 0.5}),
        trial(8, None),
    ]
    assert number_of(best(CAPPED, trials)) == 2
    assert number_of(best(QUALITY, trials)) == 1
    assert best(CAPPED, [trials[0], trials[2]]) is None
    assert CAPPED.objections(trials[0].scores) == ("privacy.membership_auc is 0.6; it must be at most 0.55.",)
    assert CAPPED.objections(trials[2].scores) == (
        "privacy.membership_auc couldn't be computed, so whether it is at most 0.55 isn't known.",
    )
    assert CAPPED.objections({"privacy.membership_auc": 0.5}) == ("quality_score couldn't be computed.",)


def test_less_is_better() -> None:
    """Of a metric of which less is better, the best trial has the least."""
    goal = Goal(("privacy.membership_auc",))
    trials = [trial(1, {"privacy.membership_auc": 0.6}), trial(2, {"privacy.membership_auc": 0.52})]
    assert number_of(best(goal, trials)) == 2


def test_best_so_far_and_patience() -> None:
    """The best so far changes only for something better, and patience counts every other trial that ended."""
    scores = [None, 0.5, 0.5, 0.4, 0.6, 0.1]
    trials = [trial(n, Outcome.failed() if s is None else {"quality_score": s}) for n, s in enumerate(scores, 1)]
    assert [number_of(each) for each in best_so_far(QUALITY, trials)] == [None, 2, 2, 2, 5, 5]
    assert [trials_without_gain(QUALITY, trials[:count]) for count in range(7)] == [0, 1, 0, 1, 2, 0, 1]
    assert trials_without_gain(QUALITY, [*trials, trial(7, None)]) == 1


SCORES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=25)


@property_test
@given(SCORES)
def test_pareto_set_against_brute_force(scores: list[tuple[int, int]]) -> None:
    """The Pareto set is exactly those that nothing beats in both objectives, however the trials come."""
    trials = [trial(n, {"quality_score": q / 5, "privacy.membership_auc": m / 5}) for n, (q, m) in enumerate(scores)]
    expected = [
        n for n, (q, m) in enumerate(scores) if not any(q2 >= q and m2 <= m and (q2, m2) != (q, m) for q2, m2 in scores)
    ]
    assert sorted(numbers(pareto(TWO, trials))) == expected
    assert sorted(numbers(pareto(TWO, trials[::-1]))) == expected
    found = best(TWO, trials)
    assert (found is None) == (not scores)
    assert found is None or found.number in expected


@property_test
@given(SCORES)
def test_patience_with_two_objectives(scores: list[tuple[int, int]]) -> None:
    """With two objectives, something better is a point that none before equals or dominates."""
    trials = [trial(n, {"quality_score": q / 5, "privacy.membership_auc": m / 5}) for n, (q, m) in enumerate(scores)]
    latest = -1
    for place, (q, m) in enumerate(scores):
        if not any(q2 >= q and m2 <= m for q2, m2 in scores[:place]):
            latest = place
    assert trials_without_gain(TWO, trials) == len(scores) - 1 - latest


@property_test
@given(SCORES)
def test_ranking(scores: list[tuple[int, int]]) -> None:
    """Trials are ranked front by front: nobody comes after one that they dominate, and nobody is lost."""
    trials = [trial(n, {"quality_score": q / 5, "privacy.membership_auc": m / 5}) for n, (q, m) in enumerate(scores)]
    order = ranked(TWO, trials)
    assert sorted(numbers(order)) == list(range(len(scores)))
    for place, later in enumerate(order):
        q, m = scores[later.number]
        assert not any(
            q >= scores[sooner.number][0] and m <= scores[sooner.number][1] and (q, m) != scores[sooner.number]
            for sooner in order[:place]
        )


def test_ranking_puts_broken_caps_last() -> None:
    """Trials beyond a cap come after all others, the least beyond first; one without a score isn't ranked."""
    trials = [
        trial(1, {"quality_score": 0.9, "privacy.membership_auc": 0.9}),
        trial(2, {"quality_score": 0.8, "privacy.membership_auc": 0.6}),
        trial(3, {"quality_score": 0.1, "privacy.membership_auc": 0.5}),
        trial(4, {"quality_score": 0.2, "privacy.membership_auc": 0.5}),
        trial(5, Outcome.failed()),
    ]
    assert numbers(ranked(CAPPED, trials)) == [4, 3, 2, 1]
