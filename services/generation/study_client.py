"""The optimizer service, as this service needs it: studies checked, ordered, followed and stopped."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

import grpc
import grpc.aio

from mirage.optimizer.v1 import study_pb2, study_pb2_grpc
from servicekit.clients import PeerError, ServiceIdentity, own_stream, peer_error
from servicekit.errors import Unavailable

_PEER = "optimizer service"
# The optimizer asks this service about the table before it answers.
_LONG_CALL_S = 60.0


class StudyClient:
    """Asks the optimizer service, in this service's own name.

    Every method raises PeerError with what the optimizer service says, and Unavailable where it can't be reached.
    """

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = study_pb2_grpc.StudyOrderServiceStub(channel)
        self._identity = identity

    async def check(self, owner_id: UUID, study: study_pb2.StartStudyRequest) -> study_pb2.CheckedStudy:
        """What would come of a study; raises PeerError with every wrong field, as a job names it."""
        request = study_pb2.CheckStudyRequest(owner_id=str(owner_id), study=study)
        try:
            return await self._stub.CheckStudy(request, timeout=_LONG_CALL_S)
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error

    async def order(self, job_id: UUID, owner_id: UUID, study: study_pb2.StartStudyRequest) -> study_pb2.Study:
        """Starts a job's study, or returns the one that the job has."""
        request = study_pb2.OrderStudyRequest(job_id=str(job_id), owner_id=str(owner_id), study=study)
        try:
            return await self._stub.OrderStudy(request, timeout=_LONG_CALL_S)
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error

    async def watch(self, study_id: UUID, resume_token: str) -> AsyncGenerator[study_pb2.StudyEvent, None]:
        """What happens in a study from a point on, to its last event."""
        request = study_pb2.WatchOrderedStudyRequest(study_id=str(study_id), resume_token=resume_token)
        try:
            async with aclosing(own_stream(self._identity, self._stub.WatchOrderedStudy, request)) as events:
                async for event in events:
                    yield event
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error

    async def stop(self, study_id: UUID) -> study_pb2.Study:
        """Stops a study, with the best so far; one that has ended stays as it is. Twice is once."""
        return await self._stop(study_pb2.StopOrderedStudyRequest(study_id=str(study_id)))

    async def stop_of(self, job_id: UUID) -> study_pb2.Study:
        """The same for the study that a job has ordered; raises PeerError if it has ordered none."""
        return await self._stop(study_pb2.StopOrderedStudyRequest(job_id=str(job_id)))

    async def _stop(self, request: study_pb2.StopOrderedStudyRequest) -> study_pb2.Study:
        try:
            return await self._stub.StopOrderedStudy(request)
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error


def _told(error: grpc.aio.AioRpcError) -> Exception:
    """What to raise; what the optimizer itself can't reach counts as its being away."""
    told = peer_error(error, _PEER)
    return Unavailable(_PEER) if isinstance(told, PeerError) and told.code is grpc.StatusCode.UNAVAILABLE else told
