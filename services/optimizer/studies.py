"""What users, and services for them, do with studies."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import logs, trace_context
from servicekit.follow import EventT
from servicekit.follow import follow as follow_events
from servicekit.idempotency import IdempotencyKeyReused, Repeatable
from servicekit.ids import new_id
from servicekit.listen import Listener
from servicekit.shared_reads import SharedReads
from servicekit.timestamps import utc_now
from services.optimizer import events, repository, telling, work_queue
from services.optimizer.errors import TooManyStudies
from services.optimizer.events import EventKind
from services.optimizer.models import DEPARTURES, Study, StudyEvent, Trial
from services.optimizer.planning import Plan
from services.optimizer.problem import problem_of, record_of
from services.optimizer.search.bests import pareto
from services.optimizer.states import STUDY_ENDED, EndReason, StudyState
from services.optimizer.transitions import move

# One user's studies must not keep everybody else's from being driven.
MOST_STUDIES_AT_WORK = 20
_EVENTS_A_BATCH = 500


async def started_before(session: AsyncSession, owner_id: UUID, repeatable: Repeatable | None) -> Study | None:
    """The study that the same request has started already; None if this is the first time.

    Raises:
        IdempotencyKeyReused: the key came with another request then.
    """
    if repeatable is None:
        return None
    known = await repository.find_key(session, owner_id, repeatable.key)
    if known is None:
        return None
    if known.fingerprint != repeatable.fingerprint:
        raise IdempotencyKeyReused
    return await repository.find_study(session, owner_id, known.study_id)


async def start(
    session: AsyncSession, owner_id: UUID, plan: Plan, repeatable: Repeatable | None = None, job_id: UUID | None = None
) -> Study:
    """Starts a study: its row, its first event and its place in the queue, in one transaction.

    Raises:
        IdempotencyKeyReused: the key came with another request before.
        TooManyStudies: the owner has as many studies that wait or run as one user may have.
        AccountDeleted: the owner's account is gone.
    """
    await DEPARTURES.admit(session, owner_id)
    if job_id is None and await repository.count_studies_at_work(session, owner_id) >= MOST_STUDIES_AT_WORK:
        raise TooManyStudies(MOST_STUDIES_AT_WORK)
    study = _new_study(owner_id, plan, job_id)
    if repeatable and not await repository.claim_key(session, owner_id, *repeatable, study.id):
        # The same request, at the same time, was faster; if its study was deleted since, the key is free again.
        before = await started_before(session, owner_id, repeatable)
        return before or await start(session, owner_id, plan, repeatable, job_id)
    session.add(study)
    await work_queue.enqueue(session, study)
    await events.record(session, study, EventKind.STATE)
    await telling.study_created(session, study)
    for note in study.notes:
        await events.record(session, study, EventKind.NOTICE, note)
    return study


async def order(session: AsyncSession, owner_id: UUID, job_id: UUID, plan: Plan) -> Study:
    """Starts a study for a job, or returns the one that it has ordered already."""
    await repository.lock_order(session, job_id)
    before = await repository.find_study_of_job(session, job_id)
    return before or await start(session, owner_id, plan, job_id=job_id)


def _new_study(owner_id: UUID, plan: Plan, job_id: UUID | None) -> Study:
    request, facts, settings = plan.request, plan.facts, plan.settings
    now = utc_now()
    return Study(
        id=new_id(),
        owner_id=owner_id,
        request_id=logs.request_id(),
        traceparent=trace_context.traceparent(),
        job_id=job_id,
        name=plan.name,
        state=StudyState.QUEUED,
        dataset_id=UUID(request.dataset_id),
        dataset_version=facts.dataset_version,
        dataset_name=facts.dataset_name,
        engine=facts.engine,
        model_type=request.model_type,
        method=settings.method,
        metric=settings.goal.objectives[0],
        objectives=list(request.objectives),
        caps=dict(request.caps),
        search_space=plan.search_space,
        parameters=dict(request.model),
        acquisition_function=settings.acquisition_function if settings.method == "bayesian" else "",
        seed=settings.seed,
        n_trials=settings.n_trials,
        parallel_trials=min(request.parallel_trials, settings.n_trials),
        timeout_seconds=request.timeout_seconds,
        patience=request.patience,
        target_column=request.target_column or facts.target_column,
        columns=list(request.columns),
        holdout_fraction=request.holdout_fraction,
        table={
            "parameters": list(facts.parameters),
            "training_rows": facts.training_rows,
            "scores_while_training": facts.scores_while_training,
        },
        notes=list(plan.notes),
        attempts=0,
        last_seq=0,
        trials_ended=0,
        trials_pruned=0,
        importances={},
        created_at=now,
        updated_at=now,
    )


async def stop(session: AsyncSession, study: Study) -> Study:
    """Stops a locked study; one that has ended stays as it is.

    The process that drives it hears of it, frees the processors of its trials, and keeps the best model.
    """
    if study.state not in STUDY_ENDED:
        await move(session, study, StudyState.STOPPED, end_reason=EndReason.STOPPED)
    return study


async def pareto_of(session: AsyncSession, study: Study) -> list[Trial]:
    """With several objectives: the trials that no other is better than in every one; none with a single objective."""
    if len(study.objectives) < 2:
        return []
    trials = {trial.number: trial for trial in await repository.trials_of(session, study.id)}
    front = pareto(problem_of(study).goal, [record_of(trial) for trial in trials.values()])
    return [trials[each.number] for each in front]


async def stop_dependents(session: AsyncSession, owner_id: UUID, dataset_id: UUID) -> list[UUID]:
    """Stops an owner's studies of a dataset; returns the ids of all there are."""
    doomed = await repository.lock_studies_of_dataset(session, owner_id, dataset_id)
    for study in doomed:
        await stop(session, study)
    return [study.id for study in doomed]


async def delete(session: AsyncSession, study_id: UUID) -> None:
    """Deletes a study; those who follow it are told."""
    study = await repository.lock_any_study(session, study_id)
    if study is not None:
        await events.announce(session, study)
        await repository.delete_study(session, study)


async def events_after(sessions: async_sessionmaker[AsyncSession], study_id: UUID, seq: int) -> Sequence[StudyEvent]:
    """A study's next events behind a number; if the study was deleted, a made-up last event that says so."""
    async with sessions() as session:
        found = await repository.events_after(session, study_id, seq, _EVENTS_A_BATCH)
        if not found and not await repository.study_exists(session, study_id):
            return [_deleted(study_id, seq)]
        return found


async def follow(
    study: Study, shared: SharedReads[EventT], listener: Listener, *, after: int, heartbeat_s: float
) -> AsyncGenerator[Sequence[EventT], None]:
    """A study's events behind a number, in batches as they come; an empty batch is a heartbeat.

    Ends with the study's last event, or at once if that one was seen already. If the study is deleted meanwhile, a
    made-up last event says so.
    """
    if study.state in STUDY_ENDED and after >= study.last_seq:
        return

    async def fetch(seq: int) -> Sequence[EventT]:
        return await shared.after(study.id, seq)

    async for batch in follow_events(
        fetch, listener, events.CHANNEL, str(study.id), after=after, heartbeat_s=heartbeat_s
    ):
        yield batch


def _deleted(study_id: UUID, seq: int) -> StudyEvent:
    return StudyEvent(
        study_id=study_id,
        seq=seq + 1,
        kind=EventKind.STATE,
        message="The study was deleted",
        last=True,
        state=StudyState.STOPPED,
        trials_ended=0,
        n_trials=0,
        importances={},
        created_at=utc_now(),
    )
