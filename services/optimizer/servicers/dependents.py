"""The RPCs of DependentStudyService, for the dataset service."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.optimizer.v1 import study_pb2, study_pb2_grpc
from services.optimizer import repository, studies
from services.optimizer.servicers.calls import Context, id_of
from services.optimizer.trial_client import TrialClient


class DependentStudyServicer(study_pb2_grpc.DependentStudyServiceServicer):
    """Studies that hang on a dataset."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], trials: TrialClient) -> None:
        self._sessions = sessions
        self._trials = trials

    async def ListDependentStudies(
        self, request: study_pb2.ListDependentStudiesRequest, context: Context
    ) -> study_pb2.DependentStudies:
        """Counts an owner's studies of a dataset."""
        owner_id, dataset_id = id_of("owner_id", request.owner_id), id_of("dataset_id", request.dataset_id)
        async with self._sessions() as session:
            count = await repository.count_studies_of_dataset(session, owner_id, dataset_id)
        return study_pb2.DependentStudies(studies=count)

    async def DeleteDependentStudies(
        self, request: study_pb2.DeleteDependentStudiesRequest, context: Context
    ) -> study_pb2.DependentStudies:
        """Stops and deletes an owner's studies of a dataset."""
        owner_id, dataset_id = id_of("owner_id", request.owner_id), id_of("dataset_id", request.dataset_id)
        async with self._sessions.begin() as session:
            doomed = await studies.stop_dependents(session, owner_id, dataset_id)
        for study_id in doomed:
            await self._trials.delete(study_id)
            async with self._sessions.begin() as session:
                await studies.delete(session, study_id)
        return study_pb2.DependentStudies(studies=len(doomed))
