"""What goes wrong in the generation service, or on the way to it, for a moment: no study is the worse for it."""

from uuid import UUID

import pytest
from grpc import StatusCode
from sqlalchemy.exc import OperationalError

from mirage.optimizer.v1 import study_pb2
from servicekit.errors import ServiceError
from services.optimizer import attempts, driving, repository, trial_runs, work_queue
from services.optimizer.attempts import Attempt
from services.optimizer.search import Suggestion
from tests.optimizer.service.platform import SPACE, Platform, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


class _Refused(ServiceError):
    code, reason = StatusCode.PERMISSION_DENIED, "NOT_TODAY"


def _database_gone() -> Exception:
    return OperationalError("SELECT 1", {}, OSError("no route"))


async def test_one_call_goes_wrong(platform: Platform) -> None:
    """Calls that fail once, for whatever reason, cost no trial; the best model is kept, and nobody is troubled."""
    user = platform.user()
    platform.peer.trips = {
        "StartTrial": [ValueError("a fault that nobody foresaw")],
        "WatchTrial": [_database_gone(), RuntimeError("another")],
        "KeepTrialModel": [_database_gone()],
        "DeleteTrials": [_database_gone()],
    }
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id), n_trials=2)).study_id)
    trials = await user.trials(study.study_id)
    assert [trial.state for trial in trials] == [study_pb2.TRIAL_STATE_SUCCEEDED] * 2
    assert (study.state, list(study.notes)) == (study_pb2.STUDY_STATE_SUCCEEDED, [])
    assert study.best_trial.model_id

    async def put_away() -> bool:
        return study.study_id in platform.peer.deleted

    await until(put_away)
    assert not any(platform.peer.trips.values())


async def test_a_trial_that_cannot_be_called_off(platform: Platform) -> None:
    """A study whose time is over ends well, though a trial that runs can't be called off; it is deleted at the end."""
    user = platform.user()
    platform.peer.held = lambda number: number == 2
    platform.peer.trips = {"CancelTrial": [ValueError("a fault"), ValueError("the same")]}
    asked = {"n_trials": 2, "parallel_trials": 2, "timeout_seconds": 5.0}
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id), **asked)).study_id)
    assert (study.state, study.end_reason) == (study_pb2.STUDY_STATE_SUCCEEDED, "timeout")

    async def deleted() -> bool:
        return list(platform.peer.of(study.study_id)) == [1]

    await until(deleted)
    assert platform.peer.cancelled == [2]


async def test_a_trial_that_is_given_up_runs_no_longer(platform: Platform) -> None:
    """A trial that fails since it can't be followed any more is called off, not left to run unseen."""
    user = platform.user()
    platform.peer.held = lambda _number: True
    platform.peer.trips = {"WatchTrial": [_Refused("Not today.")]}
    started = await user.start(platform.peer.add_dataset(user.user_id), n_trials=2)

    async def failed() -> bool:
        return bool(await user.trials(started.study_id, state=study_pb2.TRIAL_STATE_FAILED))

    await until(failed)
    assert platform.peer.cancelled == [1]
    await user.stop(started.study_id)


async def test_faults_that_do_not_pass(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial fails of what goes wrong again and again, and the study says why."""
    monkeypatch.setattr(trial_runs, "_FAULTS_BORNE_S", 0.0)
    user = platform.user()
    platform.peer.trips = {"StartTrial": [ValueError("a fault"), ValueError("a fault")]}
    study = await user.ended((await user.start(platform.peer.add_dataset(user.user_id), n_trials=2)).study_id)
    assert study.state == study_pb2.STUDY_STATE_FAILED
    assert study.error.message.startswith("All 2 trials failed. 2 × INTERNAL")


async def test_the_generation_service_is_away_at_the_end(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is away, the best model is kept and all else deleted when it is back."""
    for name in ("_KEEP_PATIENCE_S", "_PUT_AWAY_PATIENCE_S"):
        monkeypatch.setattr(driving, name, 0.0)
    user = platform.user()
    platform.peer.trips = {
        "KeepTrialModel": [_database_gone(), _database_gone()],
        "DeleteTrials": [_database_gone()],
    }
    started = await user.start(platform.peer.add_dataset(user.user_id), n_trials=2)
    study = await user.ended(started.study_id)
    assert study.state == study_pb2.STUDY_STATE_SUCCEEDED

    async def put_away() -> bool:
        return started.study_id in platform.peer.deleted

    await until(put_away)
    study = await user.get(started.study_id)
    assert study.best_trial.model_id
    assert not study.notes
    assert list(platform.peer.of(started.study_id)) == [study.best_trial.number]


async def test_a_pruned_trial_of_which_nobody_said_so(platform: Platform) -> None:
    """A trial that was called off at a rung by a process that died then has the scores that it had there."""
    user = platform.user()
    platform.peer.held = lambda number: number == 1
    asked = {"optimization_method": "hyperband", "n_trials": 4, "search_space": {**SPACE, "epochs": [10, 90]}}
    started = await user.start(platform.peer.add_dataset(user.user_id), **asked)

    async def running() -> bool:
        return bool(await user.trials(started.study_id, state=study_pb2.TRIAL_STATE_RUNNING))

    await until(running)
    async with platform.database.sessions.begin() as session:
        study = await repository.lock_any_study(session, UUID(started.study_id))
        assert study is not None
        (await repository.fresh_trial(session, study.id, 1)).reports = {"10": {"quality_score": 0.25}}
        study.attempts += 1  # whoever drives it has no more to say
        await work_queue.enqueue(session, study)
        platform.peer.call_off(platform.peer.of(started.study_id)[1])
    platform.peer.released.set()
    await user.ended(started.study_id)
    first = (await user.trials(started.study_id))[0]
    assert (first.state, first.score) == (study_pb2.TRIAL_STATE_PRUNED, 0.25)


async def test_words_that_are_said_twice(platform: Platform) -> None:
    """Trials that were written down, though nobody heard that they were, aren't written down again."""
    user = platform.user()
    platform.peer.held = lambda _number: True
    started = await user.start(platform.peer.add_dataset(user.user_id), n_trials=2)

    async def running() -> bool:
        return bool(await user.trials(started.study_id, state=study_pb2.TRIAL_STATE_RUNNING))

    await until(running)
    async with platform.database.sessions.begin() as session:
        study = await repository.find_any_study(session, UUID(started.study_id))
        [trial] = await repository.trials_of(session, study.id)
        await attempts.order(session, Attempt(study.id, study.attempts), [Suggestion.from_record(trial.suggestion)])
    await user.stop(started.study_id)
    events = await user.events(started.study_id)
    assert [event.kind for event in events].count("trial_started") == 1
