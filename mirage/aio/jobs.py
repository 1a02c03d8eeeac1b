"""Jobs: `client.jobs` and what `client.generate` returns."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from mirage import tables
from mirage.aio.models import AsyncModel
from mirage.aio.paging import collect
from mirage.aio.watching import follow
from mirage.connection import Connection
from mirage.errors import JobCancelled, JobFailed, JobNotSucceeded, JobRejected, NotPossible
from mirage.generation.v1 import job_pb2 as pb
from mirage.generation.v1 import model_pb2, quality_pb2
from mirage.progress import job_progress
from mirage.records.base import from_struct
from mirage.records.generation import JobEvent, JobFields
from mirage.records.quality import QualityReport
from mirage.states import job_state_value
from mirage.wire_errors import reason_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ENDED_BADLY: dict[str, type[JobNotSucceeded]] = {
    "failed": JobFailed,
    "cancelled": JobCancelled,
    "rejected": JobRejected,
}


class AsyncJob(JobFields):
    """A model is trained on a dataset and rows are drawn from it."""

    def __init__(self, message: pb.Job, connection: Connection) -> None:
        super().__init__(message)
        self._connection = connection

    async def refresh(self) -> "AsyncJob":
        """Asks the platform again where the job stands."""
        self._told = await self._connection.call(self._connection.jobs.GetJob, pb.GetJobRequest(job_id=self.id))
        return self

    def watch(self, resume_token: str = "", timeout_s: float | None = None) -> AsyncGenerator[JobEvent, None]:
        """Yields what happens to the job, from `resume_token` (of an earlier event) or its beginning on, to its end.

        A broken connection is taken up again where it broke: no event is lost, none comes twice.

        Raises:
            TimedOut: after `timeout_s`, if given; the job goes on.
        """
        return follow(self._events, self._is_over, resume_token=resume_token, timeout_s=timeout_s)

    async def wait(self, progress: bool | None = None, timeout_s: float | None = None) -> "AsyncJob":
        """Waits until the job has its table.

        Args:
            progress: whether to show a bar; None for where somebody is likely to see it.
            timeout_s: how long to wait at most; None for as long as it takes.

        Raises:
            JobFailed: if it fails.
            JobCancelled: if it is cancelled meanwhile.
            JobRejected: if an administrator refuses it.
            TimedOut: if it takes longer than `timeout_s`; the job goes on.
        """
        with job_progress(progress, self.name, self.adjustments) as bar:
            async for event in self.watch(timeout_s=timeout_s):
                bar.show(event)
        return await self.settle()

    async def settle(self) -> "AsyncJob":
        """Asks how the job ended.

        Raises:
            JobNotSucceeded: if it ended without a table.
        """
        await self.refresh()
        kind = _ENDED_BADLY.get(self.state)
        if kind is not None:
            message = self.error or f"The job was {self.state}."
            raise kind(message, self, reason=reason_of(self.proto.error) or f"JOB_{self.state.upper()}")
        return self

    async def cancel(self) -> "AsyncJob":
        """Cancels the job; one that has ended stays as it is."""
        self._told = await self._connection.call(self._connection.jobs.CancelJob, pb.CancelJobRequest(job_id=self.id))
        return self

    async def delete(self) -> None:
        """Deletes the job, which must have ended, with its table; its model stays."""
        request = pb.CancelJobRequest(job_id=self.id, purge=True)
        await self._connection.call(self._connection.jobs.CancelJob, request)

    async def table(self) -> "pa.Table":
        """Returns the synthetic table as Arrow, with its types."""
        return await tables.read_parquet(self._download("parquet"))

    async def dataframe(self) -> "pd.DataFrame":
        """Returns the synthetic table as a DataFrame, with its types."""
        return await to_thread.run_sync(tables.to_pandas, await self.table())

    async def download(self, path: str | Path = ".", format: str | None = None) -> Path:  # noqa: A002 -- the API's word
        """Writes the synthetic table to a file, and returns its path.

        Args:
            path: a file, or a directory in which it gets the job's name.
            format: `csv`, `jsonl`, `json`, `parquet`, `xlsx`, or `zip` for the table and how it was made in one file;
                None for what the path ends in, or the job's own.
        """
        own = "zip" if self.proto.include_metadata else self.output_format
        file, chosen = tables.target(path, format, own or "csv", self.name or self.id)
        return await tables.save(self._download(chosen), file)

    async def download_url(self, expires_s: int = 3600) -> str:
        """Returns a URL from which anybody can fetch the table as Parquet for a while."""
        request = pb.GetTableDownloadUrlRequest(job_id=self.id, expires=expires_s)
        return (await self._connection.call(self._connection.jobs.GetTableDownloadUrl, request)).url

    async def metadata(self) -> dict[str, Any]:
        """Returns how the table was made: settings, seed, versions, hashes, column schema."""
        request = pb.GetJobMetadataRequest(job_id=self.id)
        return from_struct((await self._connection.call(self._connection.jobs.GetJobMetadata, request)).metadata)

    async def quality(self) -> QualityReport:
        """Returns how faithful, how useful and how private the table is.

        Raises:
            MirageError: if the job has no table yet, or it couldn't be judged; it says why.
        """
        request = quality_pb2.GetQualityRequest(job_id=self.id)
        return QualityReport(await self._connection.call(self._connection.quality.GetQuality, request))

    async def report(self, path: str | Path = ".") -> Path:
        """Writes the quality report as one HTML page, which needs nothing from elsewhere, and returns its path.

        Args:
            path: a file, or a directory in which it gets the job's name.
        """
        file = tables.target(path, "html", "html", f"{self.name or self.id} - quality")[0]
        return await tables.save(self._report(), file)

    @property
    def model(self) -> AsyncModel:
        """The fitted model, as far as the job knows it; `refresh` of the model tells the rest.

        Raises:
            NotPossible: if there was none when the platform was last asked.
        """
        if not self.model_id:
            raise NotPossible(f"The job has no model: it is {self.state}.", reason="NO_MODEL")
        known = model_pb2.Model(
            model_id=self.model_id,
            owner_id=self.owner_id,
            name=self.name,
            job_id=self.id,
            dataset_id=self.dataset_id,
            dataset_version=self.proto.dataset_version,
            engine=self.proto.engine,
            model_type=self.model_type,
            model_config=self.proto.model_config,
            seed=self.seed,
        )
        return AsyncModel(known, self._connection)

    async def _events(self, resume_token: str) -> AsyncGenerator[JobEvent, None]:
        request = pb.WatchJobRequest(job_id=self.id, resume_token=resume_token)
        async with aclosing(self._connection.receive(self._connection.jobs.WatchJob, request)) as messages:
            async for message in messages:
                yield JobEvent(message)

    async def _is_over(self) -> bool:
        return (await self.refresh()).ended

    async def _download(self, file_format: str) -> AsyncIterator[bytes]:
        request = pb.DownloadTableRequest(job_id=self.id, format=file_format)
        async with aclosing(self._connection.receive(self._connection.jobs.DownloadTable, request)) as bodies:
            async for body in bodies:
                yield body.data

    async def _report(self) -> AsyncIterator[bytes]:
        request = quality_pb2.GetReportRequest(job_id=self.id)
        async with aclosing(self._connection.receive(self._connection.quality.GetReport, request)) as bodies:
            async for body in bodies:
                yield body.data


class AsyncJobs:
    """The caller's jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(self, request: pb.StartJobRequest) -> AsyncJob:
        """Starts a job; `client.generate` makes the request."""
        return AsyncJob(await self._connection.call(self._connection.jobs.StartJob, request), self._connection)

    async def list(self, *, state: str = "", dataset_id: str = "", limit: int | None = None) -> list[AsyncJob]:
        """Returns jobs, the newest first.

        Args:
            state: only those in this state, such as `training`.
            dataset_id: only those that learn this dataset.
            limit: how many; None for all.

        Raises:
            InvalidRequest: if there is no such state.
        """
        wanted = job_state_value(state)

        async def page(size: int, token: str) -> tuple[list[AsyncJob], str]:
            request = pb.ListJobsRequest(page_size=size, page_token=token, state=wanted, dataset_id=dataset_id)
            answer = await self._connection.call(self._connection.jobs.ListJobs, request)
            return [AsyncJob(each, self._connection) for each in answer.jobs], answer.next_page_token

        return await collect(page, limit)

    async def get(self, job_id: str) -> AsyncJob:
        """Returns one job.

        Raises:
            NotFound: if there is none.
        """
        request = pb.GetJobRequest(job_id=job_id)
        return AsyncJob(await self._connection.call(self._connection.jobs.GetJob, request), self._connection)
