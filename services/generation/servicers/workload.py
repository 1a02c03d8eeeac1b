"""The RPCs of WorkloadService, for the other services."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.generation.v1 import job_pb2, job_pb2_grpc
from servicekit.queue import queue_figures
from services.generation.dispatch import QUEUE
from services.generation.servicers.calls import Context


class WorkloadServicer(job_pb2_grpc.WorkloadServiceServicer):
    """What is done, and what waits."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def GetWorkload(self, request: job_pb2.GetWorkloadRequest, context: Context) -> job_pb2.Workload:
        """What the queue of jobs holds, and who takes from it."""
        async with self._sessions() as session:
            figures = (await queue_figures(session, [QUEUE]))[QUEUE.entrypoint]
            workers = await QUEUE.consumers_alive(session)
        return job_pb2.Workload(
            at_work=figures.at_work,
            waiting=figures.waiting,
            oldest_wait_seconds=figures.oldest_s,
            workers=workers,
        )
