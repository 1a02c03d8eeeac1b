"""The RPCs of TrialService, for the optimizer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.generation.v1 import job_pb2, trial_pb2, trial_pb2_grpc
from servicekit.errors import InvalidRequest, Violation
from servicekit.follow import decode_resume_token
from servicekit.ids import parse_id
from servicekit.listen import Listener
from servicekit.object_store import ObjectStore
from servicekit.shared_reads import SharedReads
from services.generation import convert, jobs, repository, trials
from services.generation.convert import ShownEvent
from services.generation.dispatch import Dispatcher
from services.generation.engines import ENGINES
from services.generation.engines.catalogue import describe_model
from services.generation.errors import TrialNotFound
from services.generation.jobs import ApprovalRule
from services.generation.measurable import unmeasurable
from services.generation.models import Job
from services.generation.planning import Plan, Planner
from services.generation.repository import LOOSE_OBJECTS
from services.generation.requests import RequestLimits
from services.generation.servicers.calls import Context
from services.generation.tables.holdout import holdout_row_count
from services.generation.trials import TrialName

# What a database's integer counts; a search has far fewer.
_MOST_TRIALS = 2**31 - 1


class TrialServicer(trial_pb2_grpc.TrialServiceServicer):
    """A search's trials."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        planner: Planner,
        dispatcher: Dispatcher,
        approval: ApprovalRule,
        listener: Listener,
        store: ObjectStore,
        limits: RequestLimits,
        heartbeat_s: float,
    ) -> None:
        self._sessions = sessions
        self._shared = SharedReads(self._events_after)
        self._planner = planner
        self._dispatcher = dispatcher
        self._approval = approval
        self._listener = listener
        self._store = store
        self._limits = limits
        self._heartbeat_s = heartbeat_s

    async def DescribeTable(
        self, request: trial_pb2.DescribeTableRequest, context: Context
    ) -> trial_pb2.TableDescription:
        """Says what a search needs to know of a table and a model."""
        owner_id = _owner_of(request.owner_id)
        plan = await self._planner.plan(owner_id, convert.description_fields(request))
        rows, fraction = plan.source.row_count, plan.request.holdout_fraction
        held_out = holdout_row_count(rows, fraction)
        return trial_pb2.TableDescription(
            dataset_version=plan.source.version,
            dataset_name=plan.source.dataset_name,
            training_rows=rows - held_out,
            holdout_rows=held_out,
            target_column=plan.target_column,
            engine=plan.model.engine,
            model_type=convert.model_type_to_proto(describe_model(plan.model, self._limits.epochs)),
            unmeasurable=unmeasurable(plan),
            scores_while_training=ENGINES[plan.model.engine].model_types[plan.model.model_type].scored_while_training,
        )

    async def StartTrial(self, request: trial_pb2.StartTrialRequest, context: Context) -> trial_pb2.Trial:
        """Orders a trial, once."""
        name, owner_id = _new_name(request.study_id, request.number), _owner_of(request.owner_id)
        async with self._sessions() as session:
            job = await repository.find_trial(session, *name)
        if job is None:
            scoring = convert.scoring_of(request)
            plan = await self._plan(owner_id, request)
            async with self._sessions.begin() as session:
                job = await trials.start(session, self._dispatcher, name, owner_id, plan, scoring)
        return await self._trial(job)

    async def GetTrial(self, request: trial_pb2.GetTrialRequest, context: Context) -> trial_pb2.Trial:
        """Returns one trial."""
        async with self._sessions() as session:
            job = await trials.find(session, _name_of(request.study_id, request.number))
        return await self._trial(job)

    async def WatchTrial(
        self, request: trial_pb2.WatchTrialRequest, context: Context
    ) -> AsyncIterator[job_pb2.JobEvent]:
        """Streams a trial's events from a point on."""
        async with self._sessions() as session:
            job = await trials.find(session, _name_of(request.study_id, request.number))
        after = decode_resume_token(request.resume_token, job.id)
        batches = jobs.follow_found(self._shared, self._listener, job, after=after, heartbeat_s=self._heartbeat_s)
        async with aclosing(batches):
            async for batch in batches:
                for event in batch:
                    after = event.seq
                    yield event.message
                if not batch:
                    yield convert.heartbeat_to_proto(job.id, after)

    async def CancelTrial(self, request: trial_pb2.CancelTrialRequest, context: Context) -> trial_pb2.Trial:
        """Calls a trial off."""
        async with self._sessions.begin() as session:
            job = await trials.cancel(session, self._dispatcher, _name_of(request.study_id, request.number))
        return await self._trial(job)

    async def KeepTrialModel(self, request: trial_pb2.KeepTrialModelRequest, context: Context) -> trial_pb2.Trial:
        """Makes a trial's model one of its owner's."""
        async with self._sessions.begin() as session:
            job = await trials.keep_model(session, self._approval, _name_of(request.study_id, request.number))
        return await self._trial(job)

    async def DeleteTrials(
        self, request: trial_pb2.DeleteTrialsRequest, context: Context
    ) -> trial_pb2.DeleteTrialsResponse:
        """Deletes a study's trials but for the one whose model is kept."""
        study_id = parse_id(request.study_id, _no_study)
        async with self._sessions.begin() as session:
            deleted = await trials.delete(session, self._dispatcher, study_id)
        await LOOSE_OBJECTS.remove_due(self._sessions, self._store)
        return trial_pb2.DeleteTrialsResponse(deleted=deleted)

    async def _plan(self, owner_id: UUID, request: trial_pb2.StartTrialRequest) -> Plan:
        fields = convert.request_fields(request.job) | {"sensitive_columns": tuple(request.sensitive_columns)}
        try:
            return await self._planner.plan(owner_id, fields)
        except InvalidRequest as error:
            raise InvalidRequest(_located(violation) for violation in error.violations) from error

    async def _trial(self, job: Job) -> trial_pb2.Trial:
        async with self._sessions() as session:
            report = await repository.find_report(session, job.id)
        return convert.trial_to_proto(job, report)

    async def _events_after(self, job_id: UUID, seq: int) -> Sequence[ShownEvent]:
        found = await jobs.events_after(self._sessions, job_id, seq)
        return [convert.shown_event(event) for event in found]


def _located(violation: Violation) -> Violation:
    """A wrong field where a request for a trial has it."""
    own = violation.field.startswith("sensitive_columns")
    return violation if own else Violation(f"job.{violation.field}", violation.description)


def _new_name(study_id: str, number: int) -> TrialName:
    """What a new trial is called."""
    parsed = parse_id(study_id, _no_study)
    if not 1 <= number <= _MOST_TRIALS:
        raise InvalidRequest([Violation("number", f"must be 1 to {_MOST_TRIALS}")])
    return TrialName(parsed, number)


def _name_of(study_id: str, number: int) -> TrialName:
    """What a trial is called; what can be none's name is an unknown one's."""
    parsed = parse_id(study_id, lambda text: TrialNotFound(text, number))
    if number > _MOST_TRIALS:
        raise TrialNotFound(study_id, number)
    return TrialName(parsed, number)


def _owner_of(text: str) -> UUID:
    return parse_id(text, lambda _text: InvalidRequest([Violation("owner_id", "must be a user's id")]))


def _no_study(_text: str) -> InvalidRequest:
    return InvalidRequest([Violation("study_id", "must be a study's id")])
