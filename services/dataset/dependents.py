"""The generation and the optimizer service, as this service needs them: what hangs on a dataset."""

from typing import NamedTuple
from uuid import UUID

import grpc.aio

from mirage.generation.v1 import job_pb2, job_pb2_grpc
from mirage.optimizer.v1 import study_pb2, study_pb2_grpc
from servicekit.clients import peer_error


class Dependents(NamedTuple):
    """How many of an owner's jobs, models and studies hang on a dataset."""

    jobs: int
    models: int
    studies: int


class DependentClient:
    """Asks the generation and the optimizer service."""

    def __init__(self, generation: grpc.aio.Channel, optimizer: grpc.aio.Channel) -> None:
        self._stub = job_pb2_grpc.DependentServiceStub(generation)
        self._studies = study_pb2_grpc.DependentStudyServiceStub(optimizer)

    async def count(self, owner_id: UUID, dataset_id: UUID) -> Dependents:
        """What hangs on a dataset.

        Raises:
            Unavailable: the generation or the optimizer service can't be reached.
        """
        names = {"dataset_id": str(dataset_id), "owner_id": str(owner_id)}
        try:
            studies = await self._studies.ListDependentStudies(study_pb2.ListDependentStudiesRequest(**names))
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "optimizer service") from error
        try:
            answer = await self._stub.ListDependents(job_pb2.ListDependentsRequest(**names))
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "generation service") from error
        return Dependents(answer.jobs, answer.models, studies.studies)

    async def delete(self, owner_id: UUID, dataset_id: UUID) -> Dependents:
        """Stops and deletes what hangs on a dataset; twice is once.

        Raises:
            Unavailable: the generation or the optimizer service can't be reached.
        """
        names = {"dataset_id": str(dataset_id), "owner_id": str(owner_id)}
        try:  # first, since studies order jobs
            studies = await self._studies.DeleteDependentStudies(study_pb2.DeleteDependentStudiesRequest(**names))
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "optimizer service") from error
        try:
            answer = await self._stub.DeleteDependents(job_pb2.DeleteDependentsRequest(**names))
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "generation service") from error
        return Dependents(answer.jobs, answer.models, studies.studies)

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
