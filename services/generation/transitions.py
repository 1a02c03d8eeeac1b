"""A job's way from state to state: each step one change of a locked row with its event, in one transaction."""

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.failures import Failure
from servicekit.timestamps import utc_now
from services.generation import dispatch, events, telling
from services.generation.dispatch import Dispatcher
from services.generation.errors import IllegalTransition
from services.generation.events import EventKind
from services.generation.models import Job
from services.generation.states import ALLOWED, ENDED, STAGES, JobState


async def move(
    session: AsyncSession,
    dispatcher: Dispatcher,
    job: Job,
    wanted: JobState,
    *,
    message: str = "",
    failure: Failure | None = None,
) -> None:
    """Takes a locked job to another state, writes the event, and dispatches what may follow.

    Raises:
        IllegalTransition: the state machine has no such step.
    """
    if wanted not in ALLOWED[job.state]:
        raise IllegalTransition(job.id, job.state, wanted)
    left = job.state
    job.state = wanted
    job.stage = STAGES[wanted]
    await _queue(session, dispatcher, job, left)
    if wanted is JobState.SUCCEEDED:
        job.progress = 1.0
    if failure is not None:
        job.set_failure(failure)
    if wanted in ENDED:
        job.ended_at = utc_now()
        job.seconds_left = None
        job.queue_id = None
    await events.record(session, job, EventKind.STATE, message)
    await telling.job_moved(session, job, left, message)
    if wanted in ENDED:
        await dispatcher.fill(session, job.owner_id, job.purpose)
    if wanted is JobState.QUEUED and dispatch.search_is_due(job):
        await move(session, dispatcher, job, JobState.OPTIMIZING)


async def _queue(session: AsyncSession, dispatcher: Dispatcher, job: Job, left: JobState) -> None:
    """Has somebody do what comes next, or nobody what came before."""
    if job.state is JobState.QUEUED:  # nothing of the work so far is left
        job.progress, job.epoch, job.rows_sampled, job.losses, job.seconds_left = 0.0, 0, 0, {}, None
        if not dispatch.search_is_due(job):
            await dispatcher.queue(session, job)
    elif job.state is JobState.OPTIMIZING:
        await dispatch.enqueue_search(session, job)
    if left is JobState.OPTIMIZING:
        job.search_queue_id = None
        if job.state in ENDED and job.study_id is not None:
            await dispatch.enqueue_stop(session, job.study_id)
        elif job.state in ENDED:
            await dispatch.enqueue_stop_of(session, job.id)
