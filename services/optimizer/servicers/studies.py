"""The RPCs of StudyService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.optimizer.v1 import study_pb2, study_pb2_grpc
from servicekit.idempotency import repeatable
from servicekit.identity import caller
from servicekit.limits import check
from services.optimizer import convert, lists, repository, studies
from services.optimizer.models import Study, Trial
from services.optimizer.planning import Planner
from services.optimizer.problem import model_config_of
from services.optimizer.repository import StudyFilter
from services.optimizer.servicers.calls import Context, id_of, study_id_of
from services.optimizer.servicers.streaming import StudyStreams


class StudyServicer(study_pb2_grpc.StudyServiceServicer):
    """A user's studies."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], planner: Planner, streams: StudyStreams) -> None:
        self._sessions = sessions
        self._planner = planner
        self._streams = streams

    async def StartStudy(self, request: study_pb2.StartStudyRequest, context: Context) -> study_pb2.Study:
        """Starts a study."""
        owner_id, key = caller().user_id, repeatable(context, request)
        async with self._sessions() as session:
            before = await studies.started_before(session, owner_id, key)
            if before is not None:
                return convert.study_to_proto(before, await _best(session, before))
        plan = await self._planner.plan(owner_id, convert.request_fields(request))
        async with self._sessions.begin() as session:
            study = await studies.start(session, owner_id, plan, key)
        return convert.study_to_proto(study)

    async def ListStudies(
        self, request: study_pb2.ListStudiesRequest, context: Context
    ) -> study_pb2.ListStudiesResponse:
        """Lists the caller's studies."""
        check(request)
        wanted = StudyFilter(
            owner_id=caller().user_id,
            state=convert.study_state_from_proto(request.state),
            dataset_id=id_of("dataset_id", request.dataset_id) if request.dataset_id else None,
        )
        async with self._sessions() as session:
            page, next_token = await lists.studies(session, wanted, request.page_size, request.page_token)
            best = await repository.best_trials(session, page)
        return study_pb2.ListStudiesResponse(
            studies=[convert.study_to_proto(study, best.get(study.id)) for study in page], next_page_token=next_token
        )

    async def GetStudy(self, request: study_pb2.GetStudyRequest, context: Context) -> study_pb2.Study:
        """Returns one study."""
        async with self._sessions() as session:
            study = await repository.find_study(session, caller().user_id, study_id_of(request.study_id))
            return convert.study_to_proto(study, await _best(session, study))

    async def ListTrials(self, request: study_pb2.ListTrialsRequest, context: Context) -> study_pb2.ListTrialsResponse:
        """Lists a study's trials."""
        check(request)
        async with self._sessions() as session:
            study = await repository.find_study(session, caller().user_id, study_id_of(request.study_id))
            page, next_token = await lists.trials(
                session,
                study.id,
                convert.trial_state_from_proto(request.state),
                request.page_size,
                request.page_token,
            )
        return study_pb2.ListTrialsResponse(trials=map(convert.trial_to_proto, page), next_page_token=next_token)

    async def GetBestTrial(self, request: study_pb2.GetBestTrialRequest, context: Context) -> study_pb2.BestTrial:
        """Returns a study's best trial so far."""
        async with self._sessions() as session:
            study = await repository.find_study(session, caller().user_id, study_id_of(request.study_id))
            best, front = await _best(session, study), await studies.pareto_of(session, study)
        model_config = {} if best is None else model_config_of(study, best.suggestion)
        return convert.best_to_proto(study, best, front, model_config)

    async def WatchStudy(
        self, request: study_pb2.WatchStudyRequest, context: Context
    ) -> AsyncIterator[study_pb2.StudyEvent]:
        """Streams a study's events from a point on."""
        async with self._sessions() as session:
            study = await repository.find_study(session, caller().user_id, study_id_of(request.study_id))
        async with aclosing(self._streams.events(study, request.resume_token)) as events:
            async for event in events:
                yield event

    async def StopStudy(self, request: study_pb2.StopStudyRequest, context: Context) -> study_pb2.Study:
        """Stops a study."""
        async with self._sessions.begin() as session:
            study = await repository.lock_study(session, caller().user_id, study_id_of(request.study_id))
            await studies.stop(session, study)
            return convert.study_to_proto(study, await _best(session, study))


async def _best(session: AsyncSession, study: Study) -> Trial | None:
    return (await repository.best_trials(session, [study])).get(study.id)
