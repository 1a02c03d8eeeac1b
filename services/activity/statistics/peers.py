"""What isn't in the log: what is stored, and what is worked on, as the services say that know."""

from uuid import UUID

import grpc.aio

from mirage.dataset.v1 import source_pb2, source_pb2_grpc
from mirage.generation.v1 import job_pb2, job_pb2_grpc
from servicekit.clients import peer_error
from servicekit.errors import Unavailable
from services.activity.rollups import EVERYBODY

_ANSWER_S = 3.0  # figures without these are better than no figures


class Peers:
    """Asks the dataset and the generation service."""

    def __init__(self, datasets: grpc.aio.Channel | None, generation: grpc.aio.Channel | None) -> None:
        """Takes channels on which calls are made in this service's own name; None where it isn't told of a service."""
        self._datasets = datasets
        self._generation = generation

    async def dataset_bytes(self, scope_id: UUID) -> float:
        """What files and tables of somebody's, or everybody's, datasets take.

        Raises:
            Unavailable: the dataset service can't be reached.
        """
        request = source_pb2.GetStorageUsageRequest(owner_id=_owner(scope_id))
        stub = source_pb2_grpc.SourceServiceStub(_known(self._datasets, "dataset service"))
        try:
            return float((await stub.GetStorageUsage(request, timeout=_ANSWER_S)).bytes)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "dataset service") from error

    async def generation_bytes(self, scope_id: UUID) -> float:
        """What somebody's, or everybody's, synthetic tables and models take.

        Raises:
            Unavailable: the generation service can't be reached.
        """
        request = job_pb2.GetStorageUsageRequest(owner_id=_owner(scope_id))
        stub = job_pb2_grpc.DependentServiceStub(_known(self._generation, "generation service"))
        try:
            return float((await stub.GetStorageUsage(request, timeout=_ANSWER_S)).bytes)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "generation service") from error

    async def workload(self) -> job_pb2.Workload:
        """What is worked on, and what waits.

        Raises:
            Unavailable: the generation service can't be reached.
        """
        stub = job_pb2_grpc.WorkloadServiceStub(_known(self._generation, "generation service"))
        try:
            answer: job_pb2.Workload = await stub.GetWorkload(job_pb2.GetWorkloadRequest(), timeout=_ANSWER_S)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "generation service") from error
        return answer


def _known(channel: grpc.aio.Channel | None, peer: str) -> grpc.aio.Channel:
    if channel is None:
        raise Unavailable(peer)
    return channel


def _owner(scope_id: UUID) -> str:
    return "" if scope_id == EVERYBODY else str(scope_id)
