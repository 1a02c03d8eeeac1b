"""Studies from their start to their end."""

import pytest

from mirage.optimizer.v1 import study_pb2
from servicekit.structs import from_struct
from tests.optimizer.service.peers import hill
from tests.optimizer.service.platform import Platform, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_study_runs_to_its_end(platform: Platform) -> None:
    """Every trial is asked, run and scored; the best is told, its model kept, the other trials deleted."""
    user = platform.user()
    started = await user.start(platform.peer.add_dataset(user.user_id))
    assert started.state == study_pb2.STUDY_STATE_QUEUED
    events = await user.events(started.study_id)
    study = await user.get(started.study_id)
    assert (study.state, study.end_reason, study.trials_ended) == (study_pb2.STUDY_STATE_SUCCEEDED, "trials", 4)
    trials = await user.trials(study.study_id)
    assert [trial.number for trial in trials] == [1, 2, 3, 4]
    for trial in trials:
        assert (trial.state, trial.attempts, trial.epoch) == (study_pb2.TRIAL_STATE_SUCCEEDED, 1, 3)
        assert trial.score == pytest.approx(hill(from_struct(trial.parameters))["quality_score"])
        assert trial.metrics["privacy.membership_auc"] == pytest.approx(0.5 + trial.score / 10)
    winner = max(trials, key=lambda trial: trial.score)
    assert study.best_trial.number == winner.number
    assert study.best_trial.model_id
    assert platform.peer.kept == [(study.study_id, winner.number)]
    assert {event.sequence for event in events} == set(range(1, len(events) + 1))
    kinds = [event.kind for event in events]
    assert kinds.count("trial_started") == kinds.count("trial_ended") == 4
    assert kinds.count("epoch") >= 4
    assert "best" in kinds
    scores: list[float] = []
    for event in events:
        if event.kind == "trial_ended":
            scores.append(event.trial.score)
            assert event.best_score == max(scores), "the trial that is told of is counted"
    assert events[-1].state == study_pb2.STUDY_STATE_SUCCEEDED

    async def put_away() -> bool:
        return list(platform.peer.of(study.study_id)) == [winner.number]

    await until(put_away)
    best = await user.best(study.study_id)
    assert from_struct(best.model_config) == {"model_type": "ctgan", **from_struct(winner.parameters)}


async def test_the_same_study_twice(platform: Platform) -> None:
    """With the same seed the same points are asked in the same order."""
    user = platform.user()
    dataset = platform.peer.add_dataset(user.user_id)
    asked = []
    for _ in range(2):
        study = await user.ended((await user.start(dataset)).study_id)
        asked.append([from_struct(trial.parameters) for trial in await user.trials(study.study_id)])
    assert asked[0] == asked[1]
    assert len({str(point) for point in asked[0]}) == 4
