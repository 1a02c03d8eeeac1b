"""What users and administrators do with jobs."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple
from uuid import UUID

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import logs, trace_context
from servicekit.failures import Failure
from servicekit.follow import EventT
from servicekit.follow import follow as follow_events
from servicekit.idempotency import IdempotencyKeyReused, Repeatable
from servicekit.ids import new_id
from servicekit.listen import Listener
from servicekit.point_reads import PointReads
from servicekit.shared_reads import SharedReads
from servicekit.timestamps import utc_now
from services.generation import dispatch, events, held, repository, telling
from services.generation.dispatch import Dispatcher
from services.generation.errors import (
    IllegalTransition,
    JobNotFound,
    QualityExpired,
    QualityNotMeasured,
    QualityNotReady,
    SamplingNeedsApproval,
    TableExpired,
    TableNotReady,
    TooManySearches,
)
from services.generation.events import EventKind
from services.generation.models import DEPARTURES, Job, JobEvent, Model, StoredReport
from services.generation.planning import Plan
from services.generation.states import ENDED, STAGES, JobState, Purpose
from services.generation.study_requests import to_document
from services.generation.transitions import move

# One user's searches must not keep everybody else's from being followed.
MOST_SEARCHES = 20
_EVENTS_A_BATCH = 500


class ApprovalRule(NamedTuple):
    """Which jobs wait for an administrator."""

    required: bool
    free_up_to_rows: int  # jobs of at most so many rows need none

    def holds_for(self, sample_size: int) -> bool:
        """Whether a job of this size needs an approval."""
        return self.required and sample_size > self.free_up_to_rows

    def check_sampling(self, model: Model, rows: int) -> None:
        """Makes sure that nobody gets by a model what they wouldn't get by a job.

        Raises:
            SamplingNeedsApproval: more rows are to be drawn at once than need no approval, or were approved.
        """
        if self.holds_for(rows) and rows > (model.approved_rows or 0):
            raise SamplingNeedsApproval(model.id, rows, max(self.free_up_to_rows, model.approved_rows or 0))


async def started_before(session: AsyncSession, owner_id: UUID, repeatable: Repeatable | None) -> Job | None:
    """The job that the same request has started already; None if this is the first time.

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
    return await repository.find_job(session, owner_id, known.job_id)


async def start(
    session: AsyncSession,
    dispatcher: Dispatcher,
    approval: ApprovalRule,
    owner_id: UUID,
    plan: Plan,
    repeatable: Repeatable | None = None,
) -> Job:
    """Starts a job: its row, its first event and its place in the queue, in one transaction.

    Raises:
        IdempotencyKeyReused: the key came with another request before.
        TooManySearches: it begins with a search, and the owner has as many of these as one user may have.
        AccountDeleted: the owner's account is gone.
    """
    await DEPARTURES.admit(session, owner_id)
    waits = approval.holds_for(plan.sample_size)
    job = new_job(owner_id, plan, JobState.AWAITING_APPROVAL if waits else JobState.QUEUED)
    if repeatable and not await repository.claim_key(session, owner_id, *repeatable, job.id):
        # The same request, at the same time, was faster; if its job was deleted since, the key is free again.
        before = await started_before(session, owner_id, repeatable)
        return before or await start(session, dispatcher, approval, owner_id, plan, repeatable)
    session.add(job)
    searched = dispatch.search_is_due(job)
    if job.state is JobState.QUEUED and not searched:
        await dispatcher.queue(session, job)
    await events.record(session, job, EventKind.STATE)
    await telling.job_created(session, job)
    if job.state is JobState.QUEUED and searched:
        if await repository.count_searches(session, owner_id) >= MOST_SEARCHES:
            raise TooManySearches(MOST_SEARCHES)
        await move(session, dispatcher, job, JobState.OPTIMIZING)
    return job


def new_job(owner_id: UUID, plan: Plan, state: JobState) -> Job:
    """A job's row as it begins; whatever is not in the plan is at its default."""
    request, source, model = plan.request, plan.source, plan.model
    now = utc_now()
    return Job(
        id=new_id(),
        owner_id=owner_id,
        request_id=logs.request_id(),
        traceparent=trace_context.traceparent(),
        name=plan.name,
        purpose=Purpose.JOB,
        state=state,
        stage=STAGES[state],
        progress=0.0,
        epoch=0,
        epochs=plan.epochs,
        losses={},
        rows_sampled=0,
        sample_size=plan.sample_size,
        seed=plan.seed,
        engine=model.engine,
        model_type=model.model_type,
        parameters=dict(model.parameters),
        adjustments=[*model.adjustments, *plan.notes],
        output_format=request.output_format,
        include_metadata=request.include_metadata,
        columns=list(request.columns),
        primary_key=plan.primary_key,
        target_column=plan.target_column,
        holdout_fraction=request.holdout_fraction,
        conditions=dict(request.conditions),
        sensitive_columns=list(request.sensitive_columns),
        optimization=to_document(plan.study) if plan.study is not None else None,
        dataset_id=source.dataset_id,
        dataset_version=source.version,
        dataset_name=source.dataset_name,
        source_sha256=source.table_sha256,
        source_row_count=source.row_count,
        column_specs=[spec.model_dump(mode="json") for spec in plan.column_specs],
        personal_data=plan.personal_data,
        attempts=0,
        workers_lost=0,
        review_reason="",
        last_seq=0,
        created_at=now,
        updated_at=now,
    )


async def cancel(
    session: AsyncSession, dispatcher: Dispatcher, owner_id: UUID, job_id: UUID, *, purge: bool = False
) -> Job:
    """Cancels a job; one that has ended stays as it is. With `purge` it is then deleted with its table.

    A worker that has the job hears of it and ends the training.

    Raises:
        JobNotFound: the owner has no such job.
    """
    job = await repository.lock_job(session, owner_id, job_id)
    if job.state not in ENDED:
        await move(session, dispatcher, job, JobState.CANCELLED)
    if purge:
        await delete_job(session, job)
    return job


async def delete_job(session: AsyncSession, job: Job) -> None:
    """Deletes a locked job, or trial, with its events and its report; its table is due for removal."""
    await telling.job_deleted(session, job)
    await repository.delete_job(session, job)


async def delete_model(session: AsyncSession, model: Model) -> None:
    """Deletes a locked model; its object is due for removal."""
    await telling.model_deleted(session, model)
    await repository.delete_model(session, model)


async def approve(session: AsyncSession, dispatcher: Dispatcher, job_id: UUID, reason: str) -> Job:
    """Lets a job that waits for approval run.

    Raises:
        JobNotFound: there is no such job.
        IllegalTransition: it doesn't wait for approval.
    """
    job = await _lock_for_administrator(session, job_id)
    if job.state is not JobState.AWAITING_APPROVAL:
        raise IllegalTransition(job.id, job.state, JobState.QUEUED)  # others come to be queued in other ways
    _review(job, approved=True, reason=reason)
    await move(session, dispatcher, job, JobState.QUEUED, message=reason)
    return job


async def reject(session: AsyncSession, dispatcher: Dispatcher, job_id: UUID, reason: str) -> Job:
    """Refuses a job that waits for approval.

    Raises:
        JobNotFound: there is no such job.
        IllegalTransition: it doesn't wait for approval.
    """
    job = await _lock_for_administrator(session, job_id)
    if job.state is JobState.AWAITING_APPROVAL:
        _review(job, approved=False, reason=reason)
    failure = Failure(StatusCode.PERMISSION_DENIED, "JOB_REJECTED", reason)
    await move(session, dispatcher, job, JobState.REJECTED, message=reason, failure=failure)
    return job


def _review(job: Job, *, approved: bool, reason: str) -> None:
    job.approved, job.review_reason, job.reviewed_at = approved, reason, utc_now()


async def _lock_for_administrator(session: AsyncSession, job_id: UUID) -> Job:
    job = await repository.lock_any_job(session, job_id)
    if job is None or job.purpose is not Purpose.JOB:
        raise JobNotFound(job_id)
    return job


def with_table(job: Job) -> Job:
    """The job, if it has made its table.

    Raises:
        TableNotReady: it hasn't.
        TableExpired: it was deleted since, after the time that tables are kept.
    """
    if job.state is not JobState.SUCCEEDED:
        raise TableNotReady(job.id, job.state)
    if job.table_key is None:
        raise TableExpired(job.id)
    return job


async def report_of(session: AsyncSession, owner_id: UUID, job_id: UUID) -> tuple[Job, StoredReport]:
    """An owner's job with how good its table is.

    Raises:
        JobNotFound: the owner has no such job.
        QualityNotReady: it hasn't made its table, or never will.
        QualityNotMeasured: its table couldn't be judged.
        QualityExpired: the report was deleted since, after the time that reports are kept.
    """
    job = await repository.find_job(session, owner_id, job_id)
    if job.state is not JobState.SUCCEEDED:
        raise QualityNotReady(job.id, job.state)
    report = await repository.find_report(session, job.id)
    if report is None:
        raise (
            QualityExpired(job.id) if job.quality_score is not None else QualityNotMeasured(job.id, job.quality_problem)
        )
    return job, report


async def delete_dependents(
    session: AsyncSession, dispatcher: Dispatcher, owner_id: UUID, dataset_id: UUID
) -> tuple[int, int]:
    """Cancels and deletes an owner's jobs, tables and models of a dataset; returns how many jobs and models.

    Trials and their models go along, uncounted: nobody saw them.
    """
    # Models before jobs, as everywhere: two transactions must not wait for each other.
    doomed_models = await repository.lock_models_of_dataset(session, owner_id, dataset_id)
    doomed_jobs = await repository.lock_jobs_of_dataset(session, owner_id, dataset_id)
    for job in doomed_jobs:
        if job.state not in ENDED:
            await move(session, dispatcher, job, JobState.CANCELLED, message="The dataset was deleted")
    for model in doomed_models:
        await delete_model(session, model)
    for job in doomed_jobs:
        await delete_job(session, job)
    return sum(job.purpose is Purpose.JOB for job in doomed_jobs), sum(not model.hidden for model in doomed_models)


async def delete_some_of(session: AsyncSession, dispatcher: Dispatcher, owner_id: UUID, limit: int) -> int:
    """Cancels and deletes some of an owner's models, jobs and trials; returns how many, 0 where nothing is left."""
    # Models before jobs, as everywhere.
    doomed_models = await held.lock_models(session, owner_id, limit)
    doomed_jobs = await held.lock_jobs(session, owner_id, limit)
    for job in doomed_jobs:
        if job.state not in ENDED:
            await move(session, dispatcher, job, JobState.CANCELLED, message="The account was deleted")
    for model in doomed_models:
        await telling.model_deleted(session, model)
    for job in doomed_jobs:
        await telling.job_deleted(session, job)
    await held.delete_models(session, doomed_models)
    await session.flush()
    await held.delete_jobs(session, doomed_jobs)
    return len(doomed_models) + len(doomed_jobs)


async def events_after(sessions: async_sessionmaker[AsyncSession], job_id: UUID, seq: int) -> Sequence[JobEvent]:
    """A job's next events behind a number; if the job was deleted, a made-up last event that says so."""
    async with sessions() as session:
        found = await repository.events_after(session, job_id, seq, _EVENTS_A_BATCH)
        if not found and not await repository.job_exists(session, job_id):
            return [_deleted(job_id, seq)]
        return found


async def follow(
    reads: PointReads,
    shared: SharedReads[EventT],
    listener: Listener,
    owner_id: UUID,
    job_id: UUID,
    *,
    after: int,
    heartbeat_s: float,
) -> AsyncGenerator[Sequence[EventT], None]:
    """A job's events behind a number, in batches as they come; an empty batch is a heartbeat.

    Ends with the job's last event, or at once if that one was seen already. If the job is deleted meanwhile, a
    made-up last event says so.

    Raises:
        JobNotFound: the owner has no such job.
    """
    job = await repository.show_job(reads, owner_id, job_id)
    async with aclosing(follow_found(shared, listener, job, after=after, heartbeat_s=heartbeat_s)) as batches:
        async for batch in batches:
            yield batch


async def follow_found(
    shared: SharedReads[EventT], listener: Listener, job: Job, *, after: int, heartbeat_s: float
) -> AsyncGenerator[Sequence[EventT], None]:
    """The events of a job that was found, likewise."""
    if job.state in ENDED and after >= job.last_seq:
        return

    async def fetch(seq: int) -> Sequence[EventT]:
        return await shared.after(job.id, seq)

    async for batch in follow_events(
        fetch, listener, events.CHANNEL, str(job.id), after=after, heartbeat_s=heartbeat_s
    ):
        yield batch


def _deleted(job_id: UUID, seq: int) -> JobEvent:
    return JobEvent(
        job_id=job_id,
        seq=seq + 1,
        kind=EventKind.STATE,
        message="The job was deleted",
        last=True,
        state=JobState.CANCELLED,
        stage=STAGES[JobState.CANCELLED],
        progress=0.0,
        epoch=0,
        epochs=0,
        losses={},
        rows_sampled=0,
        created_at=utc_now(),
    )
