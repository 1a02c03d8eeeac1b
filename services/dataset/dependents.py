"""The generation service, as this service needs it: what hangs on a dataset."""

from typing import NamedTuple
from uuid import UUID

import grpc.aio

from mirage.generation.v1 import job_pb2, job_pb2_grpc
from servicekit.clients import peer_error


class Dependents(NamedTuple):
    """How many of an owner's jobs and models hang on a dataset."""

    jobs: int
    models: int


class DependentClient:
    """Asks the generation service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = job_pb2_grpc.DependentServiceStub(channel)

    async def count(self, owner_id: UUID, dataset_id: UUID) -> Dependents:
        """What hangs on a dataset.

        Raises:
            Unavailable: the generation service can't be reached.
        """
        request = job_pb2.ListDependentsRequest(dataset_id=str(dataset_id), owner_id=str(owner_id))
        try:
            answer = await self._stub.ListDependents(request)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "generation service") from error
        return Dependents(answer.jobs, answer.models)

    async def delete(self, owner_id: UUID, dataset_id: UUID) -> Dependents:
        """Cancels and deletes what hangs on a dataset; twice is once.

        Raises:
            Unavailable: the generation service can't be reached.
        """
        request = job_pb2.DeleteDependentsRequest(dataset_id=str(dataset_id), owner_id=str(owner_id))
        try:
            answer = await self._stub.DeleteDependents(request)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "generation service") from error
        return Dependents(answer.jobs, answer.models)

    async def stored_bytes(self, owner_id: UUID) -> int:
        """What the generation service has stored for a user.

        Raises:
            Unavailable: the generation service can't be reached.
        """
        try:
            answer = await self._stub.GetStorageUsage(job_pb2.GetStorageUsageRequest(owner_id=str(owner_id)))
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "generation service") from error
        return int(answer.bytes)
