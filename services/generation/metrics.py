"""What the generation service and its workers measure: jobs, their trainings, and the processes that train."""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.attending import Ending
from servicekit.metrics.queues import queue_reading
from servicekit.metrics.stored import gauge
from services.generation import repository
from services.generation.dispatch import QUEUE, SEARCHES
from services.generation.engines.catalogue import model_types
from services.generation.engines.protocol import Progress
from services.generation.models import Job
from services.generation.states import ENDED, JobState, Purpose
from services.generation.training.memory import MEBIBYTE
from services.generation.training.runner import TrainingRunner

# Of failures these are nobody's but the platform's; a zero of each is there before the first.
_FAULTS = ("INTERNAL", "JOB_TIMED_OUT", "TRAINING_CRASHED", "TRAINING_FAILED", "TRAINING_OUT_OF_MEMORY")
_STAGE_BUCKETS_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_MEMORY_BUCKETS = tuple(float(mebibytes * MEBIBYTE) for mebibytes in (256, 512, 1024, 2048, 4096, 8192, 16384, 32768))

read_queues = queue_reading({"generation": QUEUE, "searches": SEARCHES})
"""Reads the queues' lengths and ages."""


async def read_jobs(session: AsyncSession) -> Sequence[Metric]:
    """Reads how many jobs that haven't ended stand where; a zero where none does."""
    counted = await repository.count_open(session)
    none = {
        (state.value, model_type, purpose.value): 0
        for state in JobState
        if state not in ENDED
        for model_type in model_types()
        for purpose in Purpose
    }
    return (
        gauge(
            "mirage_jobs",
            "Jobs (and trials of searches) that haven't ended, by where they stand.",
            ("state", "model_type", "purpose"),
            (none | counted).items(),
        ),
    )


async def read_workers(session: AsyncSession) -> Sequence[Metric]:
    """Reads how many workers are connected."""
    alive = await QUEUE.consumers_alive(session)
    return (GaugeMetricFamily("mirage_workers", "Workers that are connected to the queue of jobs.", value=alive),)


READINGS = (read_jobs, read_queues, read_workers)
"""What is read from the database when somebody scrapes."""


class ChildMemory(Collector):
    """What the child processes that train, draw and judge take of memory."""

    def __init__(self, runner: TrainingRunner, limit_mb: int | None) -> None:
        """`limit_mb` is what one of them may take."""
        self._runner = runner
        self._limit_mb = limit_mb

    def collect(self) -> Iterable[Metric]:
        """The figures; for the registry."""
        memory = self._runner.memory_mb
        yield GaugeMetricFamily("mirage_children", "Child processes that train, draw or judge.", value=len(memory))
        yield GaugeMetricFamily(
            "mirage_child_memory_bytes",
            "Resident memory of the largest child process, with all that it has started.",
            value=max(memory, default=0.0) * MEBIBYTE,
        )
        if self._limit_mb is not None:
            yield GaugeMetricFamily(
                "mirage_child_memory_limit_bytes",
                "Resident memory at which a child process is ended.",
                value=float(self._limit_mb * MEBIBYTE),
            )


class TrainingMetrics(Collector):
    """What a worker does, by the type of model."""

    def __init__(self, slots: int) -> None:
        """`slots` is how many jobs at once."""
        by_type = ("model_type",)
        self._slots = Gauge("mirage_worker_slots", "Jobs that the worker does at once.", registry=None)
        self._slots.set(slots)
        self.at_work = Gauge("mirage_worker_jobs", "Jobs that the worker has in hand.", registry=None)
        self.attempts = Counter(
            "mirage_job_attempts",
            "Attempts at jobs that have ended: succeeded, failed, called_off or given_back.",
            ("model_type", "ending"),
            registry=None,
        )
        self.failures = Counter(
            "mirage_job_failures", "Jobs that have failed, by the reason.", ("reason",), registry=None
        )
        self.epochs = Counter("mirage_training_epochs", "Epochs trained.", by_type, registry=None)
        self.rows = Counter("mirage_rows_drawn", "Rows drawn from models.", by_type, registry=None)
        self.seconds = Histogram(
            "mirage_job_stage_seconds",
            "How long jobs that have succeeded were in a stage: preparing, training, sampling, evaluating.",
            ("model_type", "stage"),
            registry=None,
            buckets=_STAGE_BUCKETS_S,
        )
        self.peak_memory = Histogram(
            "mirage_training_peak_memory_bytes",
            "The most resident memory that trainings took.",
            by_type,
            registry=None,
            buckets=_MEMORY_BUCKETS,
        )
        for model_type in model_types():
            for metric in (self.epochs, self.rows, self.peak_memory):
                metric.labels(model_type)
            for ending in Ending:
                self.attempts.labels(model_type, ending.value)
        for reason in _FAULTS:
            self.failures.labels(reason)

    def collect(self) -> Iterable[Metric]:
        """All of them; for the registry."""
        for metric in (
            self._slots, self.at_work, self.attempts, self.failures, self.epochs, self.rows, self.seconds,
            self.peak_memory,
        ):  # fmt: skip
            yield from metric.collect()

    def training(self, job: Job) -> "TrainingMeter":
        """What measures one attempt at a job."""
        return TrainingMeter(self, job.model_type)


class TrainingMeter:
    """Measures one attempt at a job."""

    def __init__(self, metrics: TrainingMetrics, model_type: str) -> None:
        self._metrics = metrics
        self._model_type = model_type
        self._epochs = metrics.epochs.labels(model_type)
        self._rows = metrics.rows.labels(model_type)
        self._epoch, self._drawn = 0, 0

    def progressed(self, progress: Progress) -> None:
        """Counts what was done since the last time."""
        self._epochs.inc(max(0, progress.epoch - self._epoch))
        self._rows.inc(max(0, progress.rows_sampled - self._drawn))
        self._epoch = max(self._epoch, progress.epoch)
        self._drawn = max(self._drawn, progress.rows_sampled)

    def done(self, seconds: Mapping[str, float], peak_memory_mb: float) -> None:
        """Takes note of what a job that has succeeded took: seconds by stage, and memory in mebibytes."""
        for stage, taken in seconds.items():
            self._metrics.seconds.labels(self._model_type, stage).observe(taken)
        self._metrics.peak_memory.labels(self._model_type).observe(peak_memory_mb * MEBIBYTE)
