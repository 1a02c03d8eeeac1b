"""A job's study, followed by one process at a time: ordered, told in the job's own stream, put to use."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog
from grpc import StatusCode
from pgqueuer.models import Job as QueueRow
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.optimizer.v1 import study_pb2
from servicekit import tracing
from servicekit.attending import Attendant, Ending, Piece
from servicekit.errors import ServiceError, Unavailable
from servicekit.failures import Failure
from servicekit.listen import Listener
from servicekit.patience import patiently
from servicekit.structs import from_struct
from services.generation import events, repository, searches
from services.generation.dispatch import SEARCHES, Dispatcher, searcher_to_stop, study_to_stop
from services.generation.engines.catalogue import CheckedModel, check_model
from services.generation.engines.parameters import Limits
from services.generation.models import Job
from services.generation.searches import Turn
from services.generation.states import ENDED
from services.generation.study_client import StudyClient
from services.generation.study_requests import from_document, parameters_of_trial
from services.generation.tables.holdout import training_row_count

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Following is waiting, mostly.
_STUDIES_AT_ONCE = 64
# A job waits so long for an optimizer that is away; then it fails.
_PATIENCE_S = 3600.0
_AWAY_PAUSE_S = 1.0
_TOLD = frozenset({"state", "trial_started", "trial_ended", "best", "notice"})
_ENDED = frozenset({study_pb2.STUDY_STATE_SUCCEEDED, study_pb2.STUDY_STATE_STOPPED, study_pb2.STUDY_STATE_FAILED})


class NothingFound(Exception):
    """A search has ended without any trial that went well."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SearchFollower:
    """Follows studies of jobs. `stopping` makes it give back what it has."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        listener: Listener,
        dispatcher: Dispatcher,
        studies: StudyClient,
        limits: Limits,
        stopping: asyncio.Event,
    ) -> None:
        self._sessions = sessions
        self._attendant = Attendant(sessions, listener, events.CHANNEL, stopping)
        self._dispatcher = dispatcher
        self._studies = studies
        self._limits = limits
        self._stopping = stopping

    async def consume(self, dsn: str, heartbeat_s: float) -> None:
        """Takes studies from the queue until it is told to stop, also where the database comes only later."""
        while not self._stopping.is_set():
            try:
                await SEARCHES.consume(
                    dsn, self.handle, slots=_STUDIES_AT_ONCE, heartbeat_s=heartbeat_s, stop=self._stopping
                )
            except Exception as error:  # whatever it is, jobs must not wait for ever
                log.warning("search_queue_lost", error=type(error).__name__)
                await asyncio.sleep(_AWAY_PAUSE_S)

    async def handle(self, row: QueueRow) -> None:
        """Does what a row of the queue says: follows a job's study, or stops one that nobody wants any more."""
        payload = (row.payload or b"").decode()
        structlog.contextvars.clear_contextvars()
        unwanted = study_to_stop(payload)
        if unwanted is not None:
            await self._stop(unwanted)
            return
        searcher = searcher_to_stop(payload)
        if searcher is not None:
            await self._stop_of(searcher)
            return
        turn = Turn(UUID(payload), row.id)
        async with self._sessions.begin() as session:
            job = await searches.claim(session, turn)
        if job is None:
            log.info("row_dropped", queue_id=row.id)
            return
        structlog.contextvars.bind_contextvars(job_id=payload, request_id=job.request_id, user_id=str(job.owner_id))
        following = _Following(job, turn, self._attendant, self._dispatcher, self._studies, self._limits)
        with tracing.resuming("follow search", job.traceparent, row.created, {"mirage.job_id": payload}) as span:
            ending = await self._attendant.attend(self._piece(turn, following))
            span.set("mirage.ending", ending.value)
            log.info("search_left", ending=ending.value)
        if ending is Ending.CALLED_OFF:
            await self._stop_untold(turn, following)

    def _piece(self, turn: Turn, following: "_Following") -> Piece:
        async def fail(session: AsyncSession, error: Exception) -> None:
            failure = _failure_of(error)
            tracing.current().fail(failure.reason)
            await searches.fail(session, self._dispatcher, turn, failure)
            log.warning("search_failed", reason=failure.reason)

        return Piece(
            key=str(turn.job_id),
            work=following.run,
            counts=lambda session: repository.search_counts(session, *turn),
            fail=fail,
            give_back=lambda session: searches.give_back(session, turn),
        )

    async def _stop_untold(self, turn: Turn, following: "_Following") -> None:
        """Stops the study of a job that ended while its study was just being ordered: nobody else knows of it."""
        async with self._sessions() as session:
            job = await repository.find_any_job(session, turn.job_id)
        if job is not None and (job.state not in ENDED or job.study_id is not None):
            return
        if (study_id := await following.ordered()) is not None:
            await self._stop(study_id)

    async def _stop_of(self, job_id: UUID) -> None:
        """Stops the study that a job has ordered, if it came to that."""
        try:
            study = await patiently(lambda: self._studies.stop_of(job_id), Unavailable, for_s=_PATIENCE_S)
        except ServiceError as error:  # mostly there is none
            log.info("no_study_to_stop", job_id=str(job_id), reason=error.reason)
        else:
            log.info("study_stopped", study_id=study.study_id)

    async def _stop(self, study_id: UUID) -> None:
        try:
            await patiently(lambda: self._studies.stop(study_id), Unavailable, for_s=_PATIENCE_S)
        except ServiceError as error:  # it isn't there any more
            log.warning("study_not_stopped", study_id=str(study_id), reason=error.reason)
        else:
            log.info("study_stopped", study_id=str(study_id))


class _Following:
    """One process's go at a job's study."""

    def __init__(
        self,
        job: Job,
        turn: Turn,
        attendant: Attendant,
        dispatcher: Dispatcher,
        studies: StudyClient,
        limits: Limits,
    ) -> None:
        self._job = job
        self._turn = turn
        self._attendant = attendant
        self._dispatcher = dispatcher
        self._studies = studies
        self._limits = limits
        self._request = from_document(job.optimization or {})
        self._ordering: asyncio.Task[study_pb2.Study] | None = None

    async def run(self) -> None:
        """Orders the study unless that was done, follows it to its end, and goes on with what it has found.

        Raises:
            NothingFound: it has found nothing.
            ServiceError: the optimizer refuses the study, or stays away.
        """
        study_id = self._job.study_id or await self._order()
        await self._tell(study_id)
        # One that has ended stays as it is, and this tells its best trial.
        study = await _patient(lambda: self._studies.stop(study_id))
        if not study.HasField("best_trial"):
            raise NothingFound(_why_nothing(study))
        model, message = self._best_model(study), _conclusion(study)
        await self._attendant.say(
            lambda session: searches.conclude(session, self._dispatcher, self._turn, study, model, message)
        )

    async def ordered(self) -> UUID | None:
        """The study that was being ordered when this was called off, if it came to be."""
        if self._ordering is None:
            return None
        try:
            return UUID((await self._ordering).study_id)
        except ServiceError:
            return None

    async def _order(self) -> UUID:
        self._ordering = asyncio.create_task(
            _patient(lambda: self._studies.order(self._job.id, self._job.owner_id, self._request))
        )
        study = await asyncio.shield(self._ordering)
        await self._attendant.say(lambda session: searches.begin(session, self._turn, study))
        return UUID(study.study_id)

    async def _tell(self, study_id: UUID) -> None:
        """Passes on what happens in the study, until it has ended."""
        async for event in self._events(study_id, (self._job.search or {}).get("resume_token", "")):
            if event.kind in _TOLD:
                await self._attendant.say(partial(searches.tell, turn=self._turn, event=event))

    async def _events(self, study_id: UUID, token: str) -> AsyncIterator[study_pb2.StudyEvent]:
        """The study's events behind a token; a broken stream is taken up where it broke."""
        while True:
            try:
                async with aclosing(self._studies.watch(study_id, token)) as received:
                    async for event in received:
                        token = event.resume_token
                        yield event
                        if event.state in _ENDED and event.sequence:
                            return
            except Unavailable as error:
                log.warning("study_stream_broke", reason=error.reason)
                await asyncio.sleep(_AWAY_PAUSE_S)
            except ServiceError as error:
                if error.code is not StatusCode.UNAUTHENTICATED:  # a token that was refused is replaced by a new one
                    raise
                await asyncio.sleep(_AWAY_PAUSE_S)
            else:
                return

    def _best_model(self, study: study_pb2.Study) -> CheckedModel:
        """The model with the best trial's parameters, checked like any other."""
        given = parameters_of_trial(self._request, from_struct(study.best_trial.parameters))
        try:
            return check_model(
                {"model_type": self._job.model_type, **given},
                engine=self._job.engine,
                rows=training_row_count(self._job.source_row_count, self._job.holdout_fraction),
                limits=self._limits,
            )
        except ValidationError as error:
            faults = "; ".join(fault["msg"] for fault in error.errors(include_url=False, include_input=False))
            raise NothingFound(f"The best parameters don't suit the whole table: {faults}.") from error


async def _patient(do: Callable[[], Awaitable[T]]) -> T:
    return await patiently(do, Unavailable, for_s=_PATIENCE_S)


def _conclusion(study: study_pb2.Study) -> str:
    """How the search came out, in words."""
    best = f"trial {study.best_trial.number} was the best of {study.trials_ended}"
    if study.best_trial.HasField("score"):
        best += f", with {study.best_trial.score:.4f} for {study.optimization_metric}"
    if study.state == study_pb2.STUDY_STATE_STOPPED:
        return f"The search was stopped; {best}"
    if study.state == study_pb2.STUDY_STATE_FAILED:
        return f"The search failed: {study.error.message} Of what it has tried {best}"
    return f"The search is over: {best}"


def _why_nothing(study: study_pb2.Study) -> str:
    if study.state == study_pb2.STUDY_STATE_STOPPED:
        return f"The search was stopped before any of its trials ended well ({study.trials_ended} had ended)."
    if study.error.message:
        return f"The search failed: {study.error.message}"
    return f"None of the search's {study.trials_ended} trials may be called the best."


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, NothingFound):
        return Failure(StatusCode.FAILED_PRECONDITION, "SEARCH_FOUND_NOTHING", error.message)
    if isinstance(error, ServiceError):
        return Failure(error.code, error.reason, error.message)
    log.error("unexpected_error", exc_info=error)
    return Failure(StatusCode.INTERNAL, "INTERNAL", "Something went wrong on our side. It has been logged.")
