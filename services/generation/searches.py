"""What becomes of a job while the best parameters for it are searched for: each word one transaction.

A word counts only while the job is being searched for and its row in the queue is still the speaker's.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mirage.optimizer.v1 import study_pb2
from servicekit.attending import Superseded
from servicekit.failures import Failure
from services.generation import dispatch, events, repository
from services.generation.dispatch import Dispatcher
from services.generation.engines.catalogue import CheckedModel
from services.generation.events import EventKind
from services.generation.models import Job
from services.generation.states import JobState
from services.generation.transitions import move


class Turn(NamedTuple):
    """One process's go at following a job's study."""

    job_id: UUID
    queue_id: int


async def claim(session: AsyncSession, turn: Turn) -> Job | None:
    """The job to follow the study of; None if there is nothing to do."""
    job = await repository.lock_any_job(session, turn.job_id)
    return job if job is not None and _counts(job, turn) else None


async def begin(session: AsyncSession, turn: Turn, study: study_pb2.Study) -> None:
    """Writes down which study was ordered.

    Raises:
        Superseded: the job is no longer searched for.
    """
    job = await _lock(session, turn)
    job.study_id = UUID(study.study_id)
    job.search = {"study_id": study.study_id, "n_trials": study.n_trials, "sequence": 0, "resume_token": ""}
    await events.record(session, job, EventKind.PROGRESS)


async def tell(session: AsyncSession, turn: Turn, event: study_pb2.StudyEvent) -> None:
    """Passes on what has happened in the study, once.

    Raises:
        Superseded: the job is no longer searched for.
    """
    job = await _lock(session, turn)
    known = job.search or {}
    if event.sequence <= known.get("sequence", 0):
        return
    job.search = known | _progress(event, known)
    job.stage = _stage(job.search)
    await events.record(session, job, EventKind.NOTICE if event.message else EventKind.PROGRESS, event.message)


async def conclude(
    session: AsyncSession, dispatcher: Dispatcher, turn: Turn, study: study_pb2.Study, model: CheckedModel, message: str
) -> None:
    """Goes on with the best parameters: the job waits for a worker like any other.

    Raises:
        Superseded: the job is no longer searched for.
    """
    job = await _lock(session, turn)
    best = study.best_trial
    job.parameters = dict(model.parameters)
    job.adjustments = list(dict.fromkeys([*job.adjustments, *model.adjustments]))
    epochs = model.parameters.get("epochs", 0)
    job.epochs = epochs if isinstance(epochs, int) else 0
    job.search = (job.search or {}) | {
        "trials_ended": study.trials_ended,
        "best_trial": best.number,
        "best_score": best.score if best.HasField("score") else None,
        "over": True,
    }
    await move(session, dispatcher, job, JobState.QUEUED, message=message)


async def fail(session: AsyncSession, dispatcher: Dispatcher, turn: Turn, failure: Failure) -> None:
    """Ends the job badly: there are no parameters to go on with.

    Raises:
        Superseded: the job is no longer searched for.
    """
    await move(session, dispatcher, await _lock(session, turn), JobState.FAILED, failure=failure)


async def give_back(session: AsyncSession, turn: Turn) -> None:
    """Leaves the study to another process.

    Raises:
        Superseded: the job is no longer searched for.
    """
    await dispatch.enqueue_search(session, await _lock(session, turn))


def _counts(job: Job, turn: Turn) -> bool:
    return job.state is JobState.OPTIMIZING and job.search_queue_id == turn.queue_id


async def _lock(session: AsyncSession, turn: Turn) -> Job:
    job = await repository.lock_any_job(session, turn.job_id)
    if job is None or not _counts(job, turn):
        raise Superseded
    return job


def _progress(event: study_pb2.StudyEvent, known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sequence": event.sequence,
        "resume_token": event.resume_token,
        "trials_ended": event.trials_ended,
        "n_trials": event.n_trials,
        "trial": event.trial.number or known.get("trial", 0),
        "best_trial": event.best_number,
        "best_score": event.best_score if event.HasField("best_score") else None,
    }


def _stage(search: Mapping[str, Any]) -> str:
    stage = f"Searching for the best parameters: {search['trials_ended']} of {search['n_trials']} trials done"
    score = search["best_score"]
    return stage if score is None else f"{stage}, the best so far is {score:.4f}"
