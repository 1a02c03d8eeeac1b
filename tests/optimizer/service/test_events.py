"""What the optimizer tells the platform's log."""

import pytest

from tests.optimizer.service.platform import SPACE, Platform
from tests.support.outbox import attributes, told

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_study_from_start_to_end(platform: Platform) -> None:
    """A study is told when it is asked for and when it has ended, with what the search has gained."""
    user = platform.user()
    dataset_id = platform.peer.add_dataset(user.user_id)
    study = await user.ended((await user.start(dataset_id)).study_id)
    created, succeeded = await told(platform.database, str(user.user_id))
    assert (created.kind, succeeded.kind) == ("study.created", "study.succeeded")
    assert (created.object_type, created.object_id) == ("study", study.study_id)
    assert (created.actor_id, succeeded.actor_id) == (str(user.user_id), "")
    assert created.related["dataset_version_id"] == f"{dataset_id}:{study.dataset_version}"
    asked, ended = attributes(created), attributes(succeeded)
    assert (asked["model_type"], asked["method"], asked["n_trials"], asked["seed"]) == ("ctgan", "random", 4, 7)
    assert asked["search_space"].keys() == SPACE.keys()
    first = (await user.trials(study.study_id))[0].score
    assert (ended["trials"], ended["best_score"], ended["first_score"]) == (4, study.best_trial.score, first)
    assert ended["gain"] == pytest.approx(study.best_trial.score - first)


async def test_a_study_that_is_stopped(platform: Platform) -> None:
    """A study that its owner stops is told once, by them, without a score where no trial has one."""
    user = platform.user()
    platform.peer.held = lambda _number: True
    stopped = await user.start(platform.peer.add_dataset(user.user_id))
    for _ in range(2):
        await user.stop(stopped.study_id)
    platform.peer.behave()
    events = await told(platform.database, str(user.user_id))
    assert [event.kind for event in events] == ["study.created", "study.stopped"]
    assert events[1].actor_id == str(user.user_id)
    assert "best_score" not in attributes(events[1])
