"""What the process that drives a study writes down: one attempt, from the claim to the end.

Between its words a study may be stopped, deleted, or given to another process because this one was silent for too long.
So every word is spoken with the study's row locked and only counts while the attempt is still the study's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.attending import Superseded
from servicekit.failures import Failure
from servicekit.timestamps import utc_now
from services.optimizer import events, repository, work_queue
from services.optimizer.events import EventKind
from services.optimizer.models import Study, Trial
from services.optimizer.problem import record_of
from services.optimizer.search import Suggestion
from services.optimizer.search.bests import best
from services.optimizer.states import STUDY_ENDED, TRIAL_ENDED, EndReason, StudyState, TrialState
from services.optimizer.strategy import Problem
from services.optimizer.transitions import end, move, move_trial


class Attempt(NamedTuple):
    """One process's go at a study."""

    study_id: UUID
    number: int  # from 1


class Ended(Exception):
    """The study has ended; nothing of its trials counts any more."""


class Progress(NamedTuple):
    """How far a trial's training is."""

    epoch: int
    epochs: int
    losses: Mapping[str, float]


class Scores(NamedTuple):
    """How a trial ended that has scores, by metric."""

    metrics: Mapping[str, float]
    adjustments: Sequence[str]
    pruned: bool = False


async def claim(session: AsyncSession, study_id: UUID, queue_id: int) -> Study | None:
    """Takes a study up that the queue has given to this process; None if there is nothing to do."""
    study = await repository.lock_any_study(session, study_id)
    if study is None or study.queue_id != queue_id:
        return None
    study.attempts += 1
    study.started_at = study.started_at or utc_now()
    if study.state is StudyState.QUEUED:
        await move(session, study, StudyState.RUNNING)
    elif study.state not in STUDY_ENDED and study.attempts > 1:
        await events.record(session, study, EventKind.NOTICE, "Taken up again by another process")
    return study


async def order(session: AsyncSession, attempt: Attempt, suggestions: Sequence[Suggestion]) -> None:
    """Writes down what the search has asked for, before it is ordered.

    Raises:
        Ended: the study has ended.
        Superseded: the attempt counts no more.
    """
    study = await _lock(session, attempt)
    known = {trial.number for trial in await repository.trials_of(session, study.id)}
    for suggestion in suggestions:
        if suggestion.number in known:  # said before, by words of which nobody heard that they were taken down
            continue
        trial = Trial(
            study_id=study.id,
            number=suggestion.number,
            state=TrialState.QUEUED,
            suggestion=suggestion.to_record(),
            parameters=dict(suggestion.point),
            adjustments=[],
            epoch=0,
            epochs=suggestion.epochs or _whole(suggestion.parameters.get("epochs")),
            losses={},
            reports={},
            objectives={},
            metrics={},
            broken_caps=[],
            attempts=0,
            created_at=utc_now(),
        )
        session.add(trial)
        await events.record(session, study, EventKind.TRIAL_STARTED, trial=trial)


async def report(
    session: AsyncSession, attempt: Attempt, number: int, *, running: bool, times_run: int, progress: Progress
) -> None:
    """Writes down how far a trial is; nothing where nothing is new.

    Raises:
        Ended: the study has ended.
        Superseded: the attempt counts no more.
    """
    study = await _lock(session, attempt)
    trial = await repository.fresh_trial(session, study.id, number)
    if trial.state in TRIAL_ENDED:
        return
    before = (trial.state, trial.epoch, trial.epochs, trial.losses, trial.attempts)
    wanted = TrialState.RUNNING if running else TrialState.QUEUED
    if trial.state is not wanted:
        move_trial(trial, wanted)
    if running and trial.started_at is None:
        trial.started_at = utc_now()
    trial.epoch, trial.losses, trial.attempts = progress.epoch, dict(progress.losses), times_run
    trial.epochs = progress.epochs or trial.epochs
    if before != (trial.state, trial.epoch, trial.epochs, trial.losses, trial.attempts):
        await events.record(session, study, EventKind.EPOCH, trial=trial)


async def note_scores(
    session: AsyncSession, attempt: Attempt, problem: Problem, number: int, epochs: int, scores: Mapping[str, float]
) -> None:
    """Writes down a trial's scores on the way, by which others are judged as well.

    Raises:
        Ended: the study has ended.
        Superseded: the attempt counts no more.
    """
    study = await _lock(session, attempt)
    trial = await repository.fresh_trial(session, study.id, number)
    if trial.state in TRIAL_ENDED:
        return
    trial.reports = {**trial.reports, str(epochs): dict(scores)}
    trial.score = scores.get(problem.goal.objectives[0])
    await events.record(session, study, EventKind.EPOCH, trial=trial)


async def score(session: AsyncSession, attempt: Attempt, problem: Problem, number: int, scores: Scores) -> None:
    """Ends a trial with its scores; the best so far may be another then.

    Raises:
        Ended: the study has ended.
        Superseded: the attempt counts no more.
    """
    study = await _lock(session, attempt)
    trial = await repository.fresh_trial(session, study.id, number)
    if trial.state in TRIAL_ENDED:
        return
    goal, metrics = problem.goal, dict(scores.metrics)
    trial.started_at = trial.started_at or utc_now()
    trial.metrics = metrics
    trial.objectives = {name: metrics[name] for name in goal.objectives if name in metrics}
    trial.score = metrics.get(goal.objectives[0])
    trial.broken_caps = [
        cap.metric for cap in goal.caps if cap.metric not in metrics or cap.excess(metrics[cap.metric]) > 0
    ]
    trial.adjustments = list(scores.adjustments)
    move_trial(trial, TrialState.PRUNED if scores.pruned else TrialState.SUCCEEDED)
    if not scores.pruned and trial.epochs:
        trial.epoch = trial.epochs
    found = best(goal, [record_of(each) for each in await repository.trials_of(session, study.id)])
    better = found is not None and found.number != study.best_number
    if found is not None and better:  # before the end is told, which so counts the trial itself
        study.best_number, study.best_score = found.number, found.scores.get(goal.objectives[0])
    study.trials_pruned += scores.pruned
    await _count(session, study, trial)
    if found is not None and better:
        winner = await repository.fresh_trial(session, study.id, found.number)
        await events.record(session, study, EventKind.BEST, trial=winner)


async def fail_trial(session: AsyncSession, attempt: Attempt, number: int, failure: Failure) -> None:
    """Ends a trial badly.

    Raises:
        Ended: the study has ended.
        Superseded: the attempt counts no more.
    """
    study = await _lock(session, attempt)
    trial = await repository.fresh_trial(session, study.id, number)
    if trial.state in TRIAL_ENDED:
        return
    trial.set_failure(failure)
    move_trial(trial, TrialState.FAILED)
    await _count(session, study, trial)


async def weigh(session: AsyncSession, attempt: Attempt, importances: Mapping[str, float]) -> None:
    """Writes down how much each parameter matters.

    Raises:
        Ended: the study has ended.
        Superseded: the attempt counts no more.
    """
    study = await _lock(session, attempt)
    study.importances = {name: round(value, 4) for name, value in importances.items()}
    await events.record(session, study, EventKind.IMPORTANCE)


async def conclude(session: AsyncSession, attempt: Attempt, reason: EndReason) -> None:
    """Ends the study by itself.

    Raises:
        Ended: somebody else was faster.
        Superseded: the attempt counts no more.
    """
    await end(session, await _lock(session, attempt), reason)


async def keep(session: AsyncSession, attempt: Attempt, number: int, model_id: str) -> None:
    """Writes down that the best trial's model is its owner's now.

    Raises:
        Superseded: the attempt counts no more.
    """
    study = await _lock_any_state(session, attempt)
    trial = await repository.fresh_trial(session, study.id, number)
    trial.model_id = UUID(model_id)
    study.updated_at = utc_now()


async def remark(session: AsyncSession, attempt: Attempt, note: str) -> None:
    """Adds a note to the study.

    Raises:
        Superseded: the attempt counts no more.
    """
    study = await _lock_any_state(session, attempt)
    if note not in study.notes:
        study.notes = [*study.notes, note]
        study.updated_at = utc_now()


async def put_away(session: AsyncSession, attempt: Attempt) -> None:
    """Takes an ended study out of the queue: nothing of it is left to do.

    Raises:
        Superseded: the attempt counts no more.
    """
    (await _lock_any_state(session, attempt)).queue_id = None


async def fail(session: AsyncSession, attempt: Attempt, failure: Failure) -> None:
    """Ends the study because driving it went wrong; its trials are put away by whoever takes it up next.

    Raises:
        Superseded: the attempt counts no more.
    """
    study = await _lock_any_state(session, attempt)
    if study.state not in STUDY_ENDED:
        await move(session, study, StudyState.FAILED, failure=failure)
        await work_queue.enqueue(session, study)
    else:
        study.queue_id = None  # not tried for ever: what is left in the generation service goes with the dataset


async def give_back(session: AsyncSession, attempt: Attempt) -> None:
    """Puts the study back into the queue, because this process stops.

    Raises:
        Superseded: the attempt counts no more.
    """
    await work_queue.enqueue(session, await _lock_any_state(session, attempt))


async def _count(session: AsyncSession, study: Study, trial: Trial) -> None:
    study.trials_ended += 1
    await events.record(session, study, EventKind.TRIAL_ENDED, trial=trial)


async def _lock(session: AsyncSession, attempt: Attempt) -> Study:
    study = await _lock_any_state(session, attempt)
    if study.state in STUDY_ENDED:
        raise Ended
    return study


async def _lock_any_state(session: AsyncSession, attempt: Attempt) -> Study:
    study = await repository.lock_any_study(session, attempt.study_id)
    if study is None or study.attempts != attempt.number or study.queue_id is None:
        raise Superseded
    return study


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


UNEXPECTED = Failure(StatusCode.INTERNAL, "INTERNAL", "Something went wrong on our side. It has been logged.")
"""What is told where nobody foresaw what went wrong."""
