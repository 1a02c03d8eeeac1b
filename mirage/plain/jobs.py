"""Jobs: `client.jobs` and what `client.generate` returns."""

from collections.abc import Iterator
from functools import partial

from mirage.aio.jobs import AsyncJob, AsyncJobs
from mirage.generation.v1 import job_pb2 as pb
from mirage.plain.calls import Plain, blocking, each
from mirage.plain.loop import LOOP
from mirage.plain.models import Model
from mirage.progress import job_progress
from mirage.records.generation import JobEvent, JobFields


def _job(core: AsyncJob) -> "Job":
    return Job(core)


class Job(Plain[AsyncJob], JobFields):
    """A model is trained on a dataset and rows are drawn from it."""

    @property
    def proto(self) -> pb.Job:
        """The message itself."""
        return self._core.proto

    refresh = blocking(AsyncJob.refresh, _job)
    settle = blocking(AsyncJob.settle, _job)
    cancel = blocking(AsyncJob.cancel, _job)
    delete = blocking(AsyncJob.delete)
    table = blocking(AsyncJob.table)
    dataframe = blocking(AsyncJob.dataframe)
    download = blocking(AsyncJob.download)
    download_url = blocking(AsyncJob.download_url)
    metadata = blocking(AsyncJob.metadata)
    quality = blocking(AsyncJob.quality)
    report = blocking(AsyncJob.report)

    @property
    def model(self) -> Model:
        """The fitted model, as far as the job knows it; `refresh` of the model tells the rest.

        Raises:
            NotPossible: if there was none when the platform was last asked.
        """
        return Model(self._core.model)

    def watch(self, resume_token: str = "", timeout_s: float | None = None) -> Iterator[JobEvent]:
        """Yields what happens to the job, from `resume_token` (of an earlier event) or its beginning on, to its end.

        A broken connection is taken up again where it broke: no event is lost, none comes twice.

        Raises:
            TimedOut: after `timeout_s`, if given; the job goes on.
        """
        return LOOP.iterate(partial(self._core.watch, resume_token, timeout_s))

    def wait(self, progress: bool | None = None, timeout_s: float | None = None) -> "Job":
        """Waits until the job has its table. Interrupted (Ctrl-C) it stops waiting; the job goes on.

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
            for event in self.watch(timeout_s=timeout_s):
                bar.show(event)
        return self.settle()


class Jobs(Plain[AsyncJobs]):
    """The caller's jobs."""

    start = blocking(AsyncJobs.start, Job)
    list = blocking(AsyncJobs.list, each(Job))
    get = blocking(AsyncJobs.get, Job)
