"""The RPCs of StudyOrderService, for the generation service."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.optimizer.v1 import study_pb2, study_pb2_grpc
from servicekit.errors import InvalidRequest, Violation
from services.optimizer import convert, repository, studies
from services.optimizer.errors import StudyNotFound
from services.optimizer.planning import Planner
from services.optimizer.servicers.calls import Context, id_of, study_id_of
from services.optimizer.servicers.streaming import StudyStreams

_CONFIG = "optimization_config"
# Fields of a job that mean the same in a study; all others are of the job's `optimization_config`.
_OF_THE_JOB = frozenset(
    {"dataset_id", "dataset_version", "engine", "target_column", "model_config", "columns", "holdout_fraction", "name"}
)
_NAMES = {"optimization_method": "method", "optimization_metric": "metric"}


class StudyOrderServicer(study_pb2_grpc.StudyOrderServiceServicer):
    """Studies that other services order for a user."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        planner: Planner,
        streams: StudyStreams,
    ) -> None:
        self._sessions = sessions
        self._planner = planner
        self._streams = streams

    async def CheckStudy(self, request: study_pb2.CheckStudyRequest, context: Context) -> study_pb2.CheckedStudy:
        """Checks what a job asks for."""
        owner_id = id_of("owner_id", request.owner_id)
        with _as_a_job_names_it():
            plan = await self._planner.plan(owner_id, convert.request_fields(request.study))
        return convert.checked_to_proto(plan)

    async def OrderStudy(self, request: study_pb2.OrderStudyRequest, context: Context) -> study_pb2.Study:
        """Starts a study for a job."""
        owner_id, job_id = id_of("owner_id", request.owner_id), id_of("job_id", request.job_id)
        async with self._sessions() as session:
            before = await repository.find_study_of_job(session, job_id)
        if before is not None:
            return convert.study_to_proto(before)
        with _as_a_job_names_it():
            plan = await self._planner.plan(owner_id, convert.request_fields(request.study))
        async with self._sessions.begin() as session:
            return convert.study_to_proto(await studies.order(session, owner_id, job_id, plan))

    async def WatchOrderedStudy(
        self, request: study_pb2.WatchOrderedStudyRequest, context: Context
    ) -> AsyncIterator[study_pb2.StudyEvent]:
        """Streams an ordered study's events from a point on."""
        async with self._sessions() as session:
            study = await repository.find_any_study(session, study_id_of(request.study_id))
        async with aclosing(self._streams.events(study, request.resume_token)) as events:
            async for event in events:
                yield event

    async def StopOrderedStudy(self, request: study_pb2.StopOrderedStudyRequest, context: Context) -> study_pb2.Study:
        """Stops an ordered study."""
        async with self._sessions.begin() as session:
            study_id = await _ordered(session, request)
            owner_id = (await repository.find_any_study(session, study_id)).owner_id
            study = await repository.lock_study(session, owner_id, study_id)
            await studies.stop(session, study)
            best = (await repository.best_trials(session, [study])).get(study.id)
            return convert.study_to_proto(study, best)


async def _ordered(session: AsyncSession, request: study_pb2.StopOrderedStudyRequest) -> UUID:
    """Which study is meant.

    Raises:
        StudyNotFound: the job has ordered none.
    """
    if request.study_id:
        return study_id_of(request.study_id)
    study = await repository.find_study_of_job(session, id_of("job_id", request.job_id))
    if study is None:
        raise StudyNotFound(f"of job {request.job_id}")
    return study.id


@contextmanager
def _as_a_job_names_it() -> Iterator[None]:
    """Names wrong fields as they are named in a job."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(Violation(_name(field), description) for field, description in error.violations) from None


def _name(field: str) -> str:
    first, dot, rest = field.partition(".")
    if first in _OF_THE_JOB:
        return field
    if first == "model_type":
        return "model_config.model_type"
    return f"{_CONFIG}.{_NAMES.get(first, first)}{dot}{rest}"
