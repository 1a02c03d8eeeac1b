"""The services that this one calls, small and by hand but honest: a real server of their contracts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import grpc.aio

from mirage.generation.v1 import job_pb2, job_pb2_grpc
from mirage.optimizer.v1 import study_pb2, study_pb2_grpc
from servicekit.identity import caller
from servicekit.server import Application
from tests.support.auth_peer import serving_peer
from tests.support.tokens import Tokens


class DependentPeer(job_pb2_grpc.DependentServiceServicer, study_pb2_grpc.DependentStudyServiceServicer):
    """Knows what tests say hangs on a dataset; deletes it when it is told to."""

    def __init__(self) -> None:
        self._hanging: dict[tuple[str, str], job_pb2.Dependents] = {}
        self._studies: dict[tuple[str, str], int] = {}
        self.stored_bytes: dict[UUID, int] = {}  # by owner

    def hang(self, owner_id: UUID, dataset_id: str, *, jobs: int, models: int, studies: int = 0) -> None:
        """Hangs jobs, models and studies on an owner's dataset."""
        self._hanging[str(owner_id), dataset_id] = job_pb2.Dependents(jobs=jobs, models=models)
        self._studies[str(owner_id), dataset_id] = studies

    def left(self, owner_id: UUID, dataset_id: str) -> bool:
        """Whether anything hangs on it."""
        return (str(owner_id), dataset_id) in {**self._hanging, **self._studies}

    async def ListDependents(self, request: job_pb2.ListDependentsRequest, context: Any) -> job_pb2.Dependents:
        """What hangs on a dataset."""
        assert caller().subject == "dataset"
        return self._hanging.get((request.owner_id, request.dataset_id), job_pb2.Dependents())

    async def DeleteDependents(self, request: job_pb2.DeleteDependentsRequest, context: Any) -> job_pb2.Dependents:
        """Deletes it; twice is once."""
        assert caller().subject == "dataset"
        return self._hanging.pop((request.owner_id, request.dataset_id), job_pb2.Dependents())

    async def ListDependentStudies(
        self, request: study_pb2.ListDependentStudiesRequest, context: Any
    ) -> study_pb2.DependentStudies:
        """How many studies hang on a dataset."""
        assert caller().subject == "dataset"
        return study_pb2.DependentStudies(studies=self._studies.get((request.owner_id, request.dataset_id), 0))

    async def DeleteDependentStudies(
        self, request: study_pb2.DeleteDependentStudiesRequest, context: Any
    ) -> study_pb2.DependentStudies:
        """Deletes them; twice is once."""
        assert caller().subject == "dataset"
        return study_pb2.DependentStudies(studies=self._studies.pop((request.owner_id, request.dataset_id), 0))

    async def GetStorageUsage(self, request: job_pb2.GetStorageUsageRequest, context: Any) -> job_pb2.StorageUsage:
        """What tests say is stored."""
        assert caller().subject == "dataset"
        return job_pb2.StorageUsage(bytes=self.stored_bytes.get(UUID(request.owner_id), 0))


@asynccontextmanager
async def serving_dependents(peer: DependentPeer, tokens: Tokens) -> AsyncIterator[str]:
    """Serves both services' parts; yields the address."""

    def register(server: grpc.aio.Server) -> None:
        job_pb2_grpc.add_DependentServiceServicer_to_server(peer, server)
        study_pb2_grpc.add_DependentStudyServiceServicer_to_server(peer, server)

    names = ("mirage.generation.v1.DependentService", "mirage.optimizer.v1.DependentStudyService")
    application = Application(names, register, tokens.verifier)
    async with serving_peer(application) as address:
        yield address
