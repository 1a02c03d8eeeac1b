"""The RPCs of DependentService, for the dataset service."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.generation.v1 import job_pb2, job_pb2_grpc
from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import parse_id
from servicekit.object_store import ObjectStore
from services.generation import jobs, repository
from services.generation.dispatch import Dispatcher
from services.generation.repository import LOOSE_OBJECTS
from services.generation.servicers.calls import Context
from services.generation.storage import stored_bytes


class DependentServicer(job_pb2_grpc.DependentServiceServicer):
    """What hangs on a dataset."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], dispatcher: Dispatcher, store: ObjectStore) -> None:
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._store = store

    async def ListDependents(self, request: job_pb2.ListDependentsRequest, context: Context) -> job_pb2.Dependents:
        """Counts an owner's jobs and models of a dataset."""
        owner_id, dataset_id = parse_id(request.owner_id, _no_owner), parse_id(request.dataset_id, _no_dataset)
        async with self._sessions() as session:
            job_count, model_count = await repository.count_dependents(session, owner_id, dataset_id)
        return job_pb2.Dependents(jobs=job_count, models=model_count)

    async def DeleteDependents(self, request: job_pb2.DeleteDependentsRequest, context: Context) -> job_pb2.Dependents:
        """Deletes an owner's jobs, tables and models of a dataset."""
        owner_id, dataset_id = parse_id(request.owner_id, _no_owner), parse_id(request.dataset_id, _no_dataset)
        async with self._sessions.begin() as session:
            job_count, model_count = await jobs.delete_dependents(session, self._dispatcher, owner_id, dataset_id)
        await LOOSE_OBJECTS.remove_due(self._sessions, self._store)
        return job_pb2.Dependents(jobs=job_count, models=model_count)

    async def GetStorageUsage(self, request: job_pb2.GetStorageUsageRequest, context: Context) -> job_pb2.StorageUsage:
        """What a user's, or everybody's, tables and models take."""
        owner_id = parse_id(request.owner_id, _no_owner) if request.owner_id else None
        async with self._sessions() as session:
            size = await stored_bytes(session, owner_id)
        return job_pb2.StorageUsage(bytes=size)


def _no_owner(_text: str) -> InvalidRequest:
    return InvalidRequest([Violation("owner_id", "must be a user's id")])


def _no_dataset(_text: str) -> InvalidRequest:
    return InvalidRequest([Violation("dataset_id", "must be a dataset's id")])
