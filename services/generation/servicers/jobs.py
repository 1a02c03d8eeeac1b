"""The RPCs of JobService."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.generation.v1 import job_pb2, job_pb2_grpc
from servicekit.downloads import send_file, url_seconds
from servicekit.follow import decode_resume_token
from servicekit.idempotency import repeatable
from servicekit.identity import caller
from servicekit.limits import check
from servicekit.listen import Listener
from servicekit.object_store import ObjectStore, content_disposition
from servicekit.point_reads import PointReads
from servicekit.quota import StorageQuota
from servicekit.shared_reads import SharedReads
from servicekit.structs import to_struct
from servicekit.timestamps import to_timestamp, utc_now
from services.generation import convert, downloads, jobs, lists, repository, telling
from services.generation.convert import ShownEvent
from services.generation.dispatch import Dispatcher
from services.generation.downloads import ZIP
from services.generation.jobs import ApprovalRule
from services.generation.metadata import metadata_document
from services.generation.models import Job
from services.generation.planning import Planner
from services.generation.repository import LOOSE_OBJECTS, JobFilter
from services.generation.servicers.calls import Context, filter_id, job_id_of


class JobServicer(job_pb2_grpc.JobServiceServicer):
    """A user's jobs."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        reads: PointReads,
        planner: Planner,
        dispatcher: Dispatcher,
        approval: ApprovalRule,
        quota: StorageQuota,
        listener: Listener,
        store: ObjectStore,
        configuration: job_pb2.Configuration,
        heartbeat_s: float,
    ) -> None:
        self._sessions = sessions
        self._reads = reads
        self._shared = SharedReads(self._events_after)
        self._planner = planner
        self._dispatcher = dispatcher
        self._approval = approval
        self._quota = quota
        self._listener = listener
        self._store = store
        self._configuration = configuration
        self._heartbeat_s = heartbeat_s

    async def StartJob(self, request: job_pb2.StartJobRequest, context: Context) -> job_pb2.Job:
        """Starts a job."""
        owner_id, key = caller().user_id, repeatable(context, request)
        async with self._sessions() as session:
            before = await jobs.started_before(session, owner_id, key)
        if before is not None:
            return convert.job_to_proto(before)
        plan = await self._planner.plan(owner_id, convert.request_fields(request))
        async with self._sessions.begin() as session:
            await self._quota.check(session, owner_id)
            job = await jobs.start(session, self._dispatcher, self._approval, owner_id, plan, key)
        return convert.job_to_proto(job)

    async def ValidateJob(self, request: job_pb2.ValidateJobRequest, context: Context) -> job_pb2.JobValidation:
        """Checks a request without running it."""
        verdict = await self._planner.judge(caller().user_id, convert.request_fields(request.request))
        return convert.verdict_to_proto(verdict)

    async def ListJobs(self, request: job_pb2.ListJobsRequest, context: Context) -> job_pb2.ListJobsResponse:
        """Lists the caller's jobs."""
        check(request)
        wanted = JobFilter(
            owner_id=caller().user_id,
            state=convert.state_from_proto(request.state),
            dataset_id=filter_id("dataset_id", request.dataset_id),
        )
        async with self._sessions() as session:
            page, next_token = await lists.jobs(session, wanted, request.page_size, request.page_token)
        return job_pb2.ListJobsResponse(jobs=map(convert.job_to_proto, page), next_page_token=next_token)

    async def GetJob(self, request: job_pb2.GetJobRequest, context: Context) -> job_pb2.Job:
        """Returns one job."""
        return convert.job_to_proto(await repository.show_job(self._reads, caller().user_id, job_id_of(request.job_id)))

    async def WatchJob(self, request: job_pb2.WatchJobRequest, context: Context) -> AsyncIterator[job_pb2.JobEvent]:
        """Streams a job's events from a point on."""
        job_id = job_id_of(request.job_id)
        after = decode_resume_token(request.resume_token, job_id)
        batches = jobs.follow(
            self._reads,
            self._shared,
            self._listener,
            caller().user_id,
            job_id,
            after=after,
            heartbeat_s=self._heartbeat_s,
        )
        async with aclosing(batches):
            async for batch in batches:
                for event in batch:
                    after = event.seq
                    yield event.message
                if not batch:
                    yield convert.heartbeat_to_proto(job_id, after)

    async def _events_after(self, job_id: UUID, seq: int) -> Sequence[ShownEvent]:
        found = await jobs.events_after(self._sessions, job_id, seq)
        return [convert.shown_event(event) for event in found]

    async def CancelJob(self, request: job_pb2.CancelJobRequest, context: Context) -> job_pb2.Job:
        """Cancels a job, or deletes it."""
        owner_id, job_id = caller().user_id, job_id_of(request.job_id)
        async with self._sessions.begin() as session:
            job = await jobs.cancel(session, self._dispatcher, owner_id, job_id, purge=request.purge)
        if request.purge:
            await LOOSE_OBJECTS.remove_due(self._sessions, self._store)
        return convert.job_to_proto(job)

    async def DownloadTable(self, request: job_pb2.DownloadTableRequest, context: Context) -> AsyncIterator[HttpBody]:
        """Streams the synthetic table as a file."""
        check(request)
        async with self._sessions() as session:
            job = await repository.find_job(session, caller().user_id, job_id_of(request.job_id))
        download = downloads.choose(jobs.with_table(job), request.format)
        await self._tell_download(job, {"format": ZIP if download.zipped else download.table_format, "way": "stream"})
        headers = {"content-disposition": content_disposition(download.filename)}
        if download.length is not None:
            headers["x-content-length"] = str(download.length)
        async with aclosing(downloads.stream(self._store, job, download)) as pieces:
            async for body in send_file(context, headers, download.content_type, pieces):
                yield body

    async def GetTableDownloadUrl(
        self, request: job_pb2.GetTableDownloadUrlRequest, context: Context
    ) -> job_pb2.TableDownloadUrl:
        """Returns a signed URL of the table."""
        check(request)
        async with self._sessions() as session:
            job = await repository.find_job(session, caller().user_id, job_id_of(request.job_id))
        seconds = url_seconds(request.expires)
        expire_time = utc_now() + timedelta(seconds=seconds)
        url = await downloads.signed_url(self._store, jobs.with_table(job), seconds)
        await self._tell_download(job, {"format": "parquet", "way": "url", "seconds": seconds})
        return job_pb2.TableDownloadUrl(url=url, expire_time=to_timestamp(expire_time))

    async def _tell_download(self, job: Job, how: Mapping[str, Any]) -> None:
        """Before the first byte: nothing leaves without being told."""
        async with self._sessions.begin() as session:
            await telling.table_downloaded(session, job, how)

    async def GetJobMetadata(self, request: job_pb2.GetJobMetadataRequest, context: Context) -> job_pb2.JobMetadata:
        """Returns how the table was made."""
        async with self._sessions() as session:
            job = await repository.find_job(session, caller().user_id, job_id_of(request.job_id))
        document = metadata_document(jobs.with_table(job))
        return job_pb2.JobMetadata(job_id=str(job.id), metadata=to_struct(document))

    async def GetConfiguration(
        self, request: job_pb2.GetConfigurationRequest, context: Context
    ) -> job_pb2.Configuration:
        """Returns what can be asked for."""
        return self._configuration
