"""How studies end: by themselves, by their owner, and badly."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from mirage.optimizer.v1 import study_pb2
from servicekit.structs import from_struct
from tests.optimizer.service.platform import SPACE, Platform, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_stop_in_the_middle_of_trials(platform: Platform) -> None:
    """Stopping answers at once, calls the running trials off, keeps the best so far; twice is once."""
    user = platform.user()
    platform.peer.held = lambda number: number > 2
    started = await user.start(platform.peer.add_dataset(user.user_id), n_trials=10, parallel_trials=2)
    watching = asyncio.create_task(user.events(started.study_id))

    async def held() -> bool:
        running = await user.trials(started.study_id, state=study_pb2.TRIAL_STATE_RUNNING)
        return [trial.number for trial in running] == [3, 4]

    await until(held)
    stopped = await user.stop(started.study_id)
    assert (stopped.state, stopped.end_reason) == (study_pb2.STUDY_STATE_STOPPED, "stopped")
    again = await user.stop(started.study_id)
    assert again.update_time == stopped.update_time or again.state == stopped.state
    events = await watching
    assert events[-1].state == study_pb2.STUDY_STATE_STOPPED
    ended = [(event.trial.number, event.trials_ended) for event in events if event.kind == "trial_ended"]
    assert sorted(number for number, _ in ended) == [1, 2, 3, 4], "what was called off has ended, too"
    assert [count for _, count in ended] == [1, 2, 3, 4]

    async def put_away() -> bool:
        return started.study_id in platform.peer.deleted

    await until(put_away)
    assert sorted(platform.peer.cancelled) == [3, 4]
    study = await user.get(started.study_id)
    assert study.best_trial.number in (1, 2)
    assert study.best_trial.model_id
    assert study.trials_ended == 4
    states = [trial.state for trial in await user.trials(study.study_id)]
    assert states == [study_pb2.TRIAL_STATE_SUCCEEDED] * 2 + [study_pb2.TRIAL_STATE_CANCELLED] * 2


async def test_every_trial_fails(platform: Platform) -> None:
    """The study fails, with the reasons of its trials grouped."""
    user = platform.user()
    platform.peer.fail = lambda number: "TRAINING_DIVERGED" if number < 4 else "TRAINING_OUT_OF_MEMORY"
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id))).study_id)
    assert study.state == study_pb2.STUDY_STATE_FAILED
    assert study.error.message.startswith("All 4 trials failed. 3 × TRAINING_DIVERGED: It didn't work. 1 ×")
    assert not study.HasField("best_trial")
    best = await user.best(study.study_id)
    assert not best.HasField("trial")
    assert (best.study_id, best.state, best.trials_ended, best.n_trials) == (study.study_id, study.state, 4, 4)


async def test_some_trials_fail(platform: Platform) -> None:
    """A trial that fails tells why, and the search goes on without it."""
    user = platform.user()
    platform.peer.fail = lambda number: "TRAINING_DIVERGED" if number == 1 else ""
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id))).study_id)
    assert study.state == study_pb2.STUDY_STATE_SUCCEEDED
    failed = (await user.trials(study.study_id))[0]
    assert failed.state == study_pb2.TRIAL_STATE_FAILED
    assert failed.error.message == "It didn't work."


async def test_patience(platform: Platform) -> None:
    """A study ends when so many trials in a row were no better."""
    user = platform.user()
    platform.peer.surface = lambda _parameters: {"quality_score": 0.5}
    study = await user.ended(
        (await user.start(platform.peer.add_dataset(user.user_id), n_trials=50, patience=2)).study_id
    )
    assert (study.state, study.end_reason, study.trials_ended) == (study_pb2.STUDY_STATE_SUCCEEDED, "patience", 3)


async def test_timeout(platform: Platform) -> None:
    """When the time is over running trials are called off, and the best so far stays."""
    user = platform.user()
    platform.peer.held = lambda number: number > 1
    study = await user.ended(
        (await user.start(platform.peer.add_dataset(user.user_id), timeout_seconds=5.0, parallel_trials=2)).study_id
    )
    assert (study.state, study.end_reason) == (study_pb2.STUDY_STATE_SUCCEEDED, "timeout")
    assert study.best_trial.number == 1
    assert sorted(platform.peer.cancelled) == [2, 3]


async def test_a_grid_is_tried_whole(platform: Platform) -> None:
    """Without a number of trials a grid is tried point by point, each once."""
    user = platform.user()
    space = {"epochs": {"choices": [50, 100, 150]}, "batch_size": {"choices": [100, 300]}}
    asked = {"search_space": space, "optimization_method": "grid", "n_trials": 6}
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id), **asked)).study_id)
    points = [from_struct(trial.parameters) for trial in await user.trials(study.study_id)]
    assert len(points) == len({str(point) for point in points}) == 6
    assert from_struct(study.best_trial.parameters) == {"epochs": 100, "batch_size": 300}


async def test_caps_and_several_objectives(platform: Platform) -> None:
    """A trial that breaks a cap is never the best; several objectives give a Pareto set."""
    user = platform.user()
    dataset = platform.peer.add_dataset(user.user_id)
    platform.peer.surface = _risky
    caps = {"privacy.membership_auc": {"max": 0.8}}
    capped = await user.ended((await user.start(dataset, n_trials=6, caps=caps)).study_id)
    trials = await user.trials(capped.study_id)
    assert any(trial.broken_caps == ["privacy.membership_auc"] for trial in trials)
    allowed = [trial for trial in trials if trial.metrics["privacy.membership_auc"] <= 0.8]
    assert capped.best_trial.number == max(allowed, key=lambda trial: trial.score).number
    both = await user.ended((await user.start(dataset, objectives=["quality_score", "privacy"])).study_id)
    best = await user.best(both.study_id)
    assert len(best.pareto) == 4  # what one gains the other loses
    assert set(best.pareto[0].objectives) == {"quality_score", "privacy"}


@pytest.mark.parametrize("method", ["bayesian", "hyperband"])
async def test_other_methods(platform: Platform, method: str) -> None:
    """Every method searches, and comes close to the top of the hill."""
    user = platform.user()
    asked = {"optimization_method": method, "n_trials": 12, "parallel_trials": 2, "search_space": SPACE}
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id), **asked)).study_id)
    assert study.state == study_pb2.STUDY_STATE_SUCCEEDED
    assert study.best_trial.score > 0.8
    assert sum(study.importances.values()) == pytest.approx(1, abs=0.01)
    assert set(study.importances) <= set(SPACE)


async def test_bad_trials_are_pruned(platform: Platform) -> None:
    """Where trials are scored while they train, Hyperband calls off those that others are better than."""
    user = platform.user()
    platform.peer.scores_while_training = True
    platform.peer.surface = lambda parameters: {"quality_score": 1 / float(parameters["batch_size"]), "privacy": 1}
    asked = {
        "optimization_method": "hyperband",
        "n_trials": 9,
        "caps": {"privacy": {"min": 0.0}},
        "search_space": {"epochs": [10, 90], "batch_size": [100, 800]},
    }
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id), **asked)).study_id)
    trials = await user.trials(study.study_id)
    pruned = [trial for trial in trials if trial.state == study_pb2.TRIAL_STATE_PRUNED]
    assert pruned
    assert all(trial.score is not None and trial.epoch < 90 for trial in pruned)
    assert all(study.best_trial.score >= trial.score for trial in pruned)
    assert study.best_trial.state == study_pb2.TRIAL_STATE_SUCCEEDED
    assert study.trials_pruned == len(pruned)
    assert study.trials_ended == len(trials) == 9
    orders = [trial.request for trial in platform.peer.of(study.study_id).values()]
    assert {(tuple(order.score_epochs), tuple(order.score_metrics)) for order in orders} == {
        ((10, 30), ("quality_score", "privacy"))
    }
    shown = [event.trial for event in await user.events(study.study_id) if event.kind == "epoch"]
    assert any(trial.state == study_pb2.TRIAL_STATE_RUNNING and trial.HasField("score") for trial in shown)


async def test_rungs_that_nobody_saw_a_trial_reach(platform: Platform) -> None:
    """What a trial scored while nobody followed it is judged all the same, each rung once."""
    user = platform.user()
    platform.peer.scores_while_training = True
    platform.peer.surface = lambda parameters: {"quality_score": 1 / float(parameters["batch_size"]), "privacy": 1}
    platform.peer.trips = {"WatchTrial": [RuntimeError("a fault")] * 4}
    asked = {"optimization_method": "hyperband", "n_trials": 4, "search_space": {**SPACE, "epochs": [10, 30]}}
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id), **asked)).study_id)
    scores = [trial.score for trial in await user.trials(study.study_id)]
    assert study.trials_pruned == sum(score < max(scores[: place + 1]) for place, score in enumerate(scores))


async def test_what_a_trial_had_on_the_way(platform: Platform) -> None:
    """A trial that fails after a rung has no score, whatever it scored there."""
    user = platform.user()
    platform.peer.scores_while_training = True
    platform.peer.fail = lambda number: "TRAINING_CRASHED" if number == 1 else ""
    asked = {"optimization_method": "hyperband", "n_trials": 3, "search_space": {**SPACE, "epochs": [10, 30]}}
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id), **asked)).study_id)
    first = (await user.trials(study.study_id))[0]
    assert (first.state, first.HasField("score")) == (study_pb2.TRIAL_STATE_FAILED, False)


def _risky(parameters: Mapping[str, Any]) -> Mapping[str, float]:
    """The longer it trains, the better it is, and the more it tells of people."""
    epochs = float(parameters["epochs"])
    return {"quality_score": epochs / 200, "privacy": 1 - epochs / 400, "privacy.membership_auc": 0.5 + epochs / 400}
