"""What a search does with trials: jobs that are in nobody's list, keep no rows, and are named by study and number."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.timestamps import utc_now
from services.generation import events, jobs, repository
from services.generation.dispatch import Dispatcher
from services.generation.errors import ModelNeedsApproval, TrialHasNoModel, TrialNotFound
from services.generation.events import EventKind
from services.generation.jobs import ApprovalRule, new_job
from services.generation.models import DEPARTURES, Job
from services.generation.planning import Plan
from services.generation.states import ENDED, JobState, Purpose
from services.generation.training.spec import Scoring
from services.generation.transitions import move


class TrialName(NamedTuple):
    """What names a trial."""

    study_id: UUID
    number: int  # from 1


async def start(
    session: AsyncSession, dispatcher: Dispatcher, name: TrialName, owner_id: UUID, plan: Plan, scoring: Scoring | None
) -> Job:
    """Orders a trial, or returns the one of this name that was ordered before.

    `scoring` says what is to be judged while it trains; None for nothing.

    Raises:
        AccountDeleted: the owner's account is gone.
    """
    await DEPARTURES.admit(session, owner_id)
    await repository.serialise_study(session, name.study_id)
    before = await repository.find_trial(session, *name)
    if before is not None:
        return before
    job = new_job(owner_id, plan, JobState.QUEUED)
    job.purpose, job.study_id, job.trial_number = Purpose.TRIAL, name.study_id, name.number
    job.scoring = None if scoring is None else scoring.model_dump(mode="json")
    session.add(job)
    await dispatcher.queue(session, job)
    await events.record(session, job, EventKind.STATE)
    return job


async def find(session: AsyncSession, name: TrialName) -> Job:
    """A trial.

    Raises:
        TrialNotFound: the study has none of this number.
    """
    return _found(await repository.find_trial(session, *name), name)


async def cancel(session: AsyncSession, dispatcher: Dispatcher, name: TrialName) -> Job:
    """Calls a trial off; one that has ended stays as it is. A worker that has it hears of it and ends the training.

    Raises:
        TrialNotFound: the study has none of this number.
    """
    job = _found(await repository.lock_trial(session, *name), name)
    if job.state not in ENDED:
        await move(session, dispatcher, job, JobState.CANCELLED)
    return job


async def keep_model(session: AsyncSession, approval: ApprovalRule, name: TrialName) -> Job:
    """Makes a trial's model one of its owner's. Twice is once.

    Raises:
        TrialNotFound: the study has none of this number.
        TrialHasNoModel: there is no model to keep.
        ModelNeedsApproval: rows of it would be rows that nobody has approved.
    """
    if approval.required:
        raise ModelNeedsApproval
    job = await find(session, name)
    model = None if job.model_id is None else await repository.lock_any_model(session, job.model_id)
    if model is None:
        raise TrialHasNoModel(*name, job.state)
    if model.hidden:
        model.hidden, model.created_at = False, utc_now()  # from when on it is its owner's, and kept for so many days
    return job


async def delete(session: AsyncSession, dispatcher: Dispatcher, study_id: UUID) -> int:
    """Calls off and deletes a study's trials with their models, but for those whose model is kept; says how many."""
    # Models before jobs, as everywhere. One that came to be in between is a hidden one, which nobody else waits for.
    models = {model.id: model for model in await repository.lock_models_of_study(session, study_id)}
    trials = await repository.lock_trials(session, study_id)
    deleted = 0
    for trial in trials:
        model = None
        if trial.model_id is not None:
            model = models.get(trial.model_id) or await repository.lock_any_model(session, trial.model_id)
        if model is not None and not model.hidden:
            continue
        if trial.state not in ENDED:
            await move(session, dispatcher, trial, JobState.CANCELLED)
        if model is not None:
            await jobs.delete_model(session, model)
        await jobs.delete_job(session, trial)
        deleted += 1
    return deleted


async def delete_abandoned(session: AsyncSession, dispatcher: Dispatcher, before: datetime, limit: int) -> int:
    """Deletes the trials of studies that were left alone since a time; says how many studies, at most `limit`."""
    studies = await repository.studies_of_trials_ended_before(session, before, limit)
    for study_id in studies:
        await delete(session, dispatcher, study_id)
    return len(studies)


def _found(job: Job | None, name: TrialName) -> Job:
    if job is None:
        raise TrialNotFound(*name)
    return job
