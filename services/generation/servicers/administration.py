"""The RPCs of JobAdministrationService."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.generation.v1 import job_pb2, job_pb2_grpc
from servicekit.limits import check
from servicekit.timestamps import from_timestamp
from services.generation import convert, jobs, lists
from services.generation.dispatch import Dispatcher
from services.generation.repository import JobFilter
from services.generation.servicers.calls import Context, filter_id, job_id_of


class JobAdministrationServicer(job_pb2_grpc.JobAdministrationServiceServicer):
    """Every job, for administrators."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], dispatcher: Dispatcher) -> None:
        self._sessions = sessions
        self._dispatcher = dispatcher

    async def ListAllJobs(self, request: job_pb2.ListAllJobsRequest, context: Context) -> job_pb2.ListAllJobsResponse:
        """Lists everybody's jobs."""
        check(request)
        wanted = JobFilter(
            owner_id=filter_id("user_id", request.user_id),
            state=convert.state_from_proto(request.state),
            since=from_timestamp(request.since, "since") if request.HasField("since") else None,
        )
        async with self._sessions() as session:
            page, next_token = await lists.jobs(session, wanted, request.page_size, request.page_token)
        return job_pb2.ListAllJobsResponse(jobs=map(convert.job_to_proto, page), next_page_token=next_token)

    async def ApproveJob(self, request: job_pb2.ApproveJobRequest, context: Context) -> job_pb2.Job:
        """Lets a waiting job run."""
        check(request)
        reason = request.reason.strip()
        async with self._sessions.begin() as session:
            job = await jobs.approve(session, self._dispatcher, job_id_of(request.job_id), reason)
        return convert.job_to_proto(job)

    async def RejectJob(self, request: job_pb2.RejectJobRequest, context: Context) -> job_pb2.Job:
        """Refuses a waiting job."""
        check(request)
        reason = request.reason.strip()
        async with self._sessions.begin() as session:
            job = await jobs.reject(session, self._dispatcher, job_id_of(request.job_id), reason)
        return convert.job_to_proto(job)
