"""A study's and a trial's way from state to state: each step one change of a locked study with its event."""

from collections import Counter
from collections.abc import Sequence

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.failures import Failure
from servicekit.timestamps import utc_now
from services.optimizer import events, repository, telling
from services.optimizer.events import EventKind
from services.optimizer.models import Study, Trial
from services.optimizer.states import STUDY_ENDED, STUDY_STEPS, TRIAL_STEPS, EndReason, StudyState, TrialState

_REASONS_TOLD = 5


async def move(
    session: AsyncSession,
    study: Study,
    wanted: StudyState,
    *,
    message: str = "",
    end_reason: EndReason | None = None,
    failure: Failure | None = None,
) -> None:
    """Takes a locked study to another state and writes the event; trials that still run are called off where it ends.

    Raises:
        ValueError: the state machine has no such step.
    """
    if wanted not in STUDY_STEPS[study.state]:
        raise ValueError(f"A study that is {study.state} can't become {wanted}.")
    if wanted in STUDY_ENDED:
        for trial in await repository.running_trials(session, study.id):
            move_trial(trial, TrialState.CANCELLED)
            study.trials_ended += 1
            await events.record(session, study, EventKind.TRIAL_ENDED, trial=trial)
    study.state = wanted
    if failure is not None:
        study.set_failure(failure)
    if wanted in STUDY_ENDED:
        study.end_reason = end_reason
        study.ended_at = utc_now()
    await events.record(session, study, EventKind.STATE, message)
    await telling.study_moved(session, study)


def move_trial(trial: Trial, wanted: TrialState) -> None:
    """Takes a trial of a locked study to another state.

    Raises:
        ValueError: the state machine has no such step.
    """
    if wanted not in TRIAL_STEPS[trial.state]:
        raise ValueError(f"A trial that is {trial.state} can't become {wanted}.")
    trial.state = wanted
    if wanted in (TrialState.FAILED, TrialState.CANCELLED):
        trial.score = None  # what it had on the way
    if not TRIAL_STEPS[wanted]:
        trial.ended_at = utc_now()


async def end(session: AsyncSession, study: Study, reason: EndReason) -> None:
    """Ends a locked study that nobody has stopped: well if it has scores, else badly with what went wrong."""
    trials = await repository.trials_of(session, study.id)
    if any(trial.metrics for trial in trials):
        message = "" if study.best_number else _no_best(study)
        await move(session, study, StudyState.SUCCEEDED, end_reason=reason, message=message)
    else:
        timed_out = reason if reason is EndReason.TIMEOUT else None
        await move(session, study, StudyState.FAILED, end_reason=timed_out, failure=_why(trials, reason))


def _no_best(study: Study) -> str:
    return "No trial keeps to the caps, so none is the best" if study.caps else "No trial has a score to be the best by"


def _why(trials: Sequence[Trial], reason: EndReason) -> Failure:
    """Why a study has nothing to show: the reasons of its trials, the most frequent first."""
    failed = [trial for trial in trials if trial.error_reason]
    if not failed:
        ended = "the time was over" if reason is EndReason.TIMEOUT else "the search was"
        return Failure(StatusCode.DEADLINE_EXCEEDED, "NO_TRIAL_ENDED", f"No trial had ended when {ended}.")
    counted = Counter((trial.error_reason, trial.error_message) for trial in failed)
    groups = [f"{count} × {why}: {text}" for (why, text), count in counted.most_common(_REASONS_TOLD)]
    more = len(counted) - len(groups)
    rest = f" And {more} other reasons." if more > 0 else ""
    number = "The only trial" if len(failed) == 1 else f"All {len(failed)} trials"
    return Failure(StatusCode.ABORTED, "ALL_TRIALS_FAILED", f"{number} failed. {' '.join(groups)}{rest}")
