"""One job in a worker's hands: claimed, prepared, trained, stored; or called off, failed, given back."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import structlog
from grpc import StatusCode
from pgqueuer.models import Job as QueueRow
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import tracing
from servicekit.attending import Attendant, Piece
from servicekit.errors import TEMPORARY, ServiceError, StorageFull, Unavailable, is_disk_full
from servicekit.failures import Failure
from servicekit.listen import Listener
from servicekit.object_store import ObjectStore
from servicekit.patience import patiently
from servicekit.timestamps import utc_now
from servicekit.workspace import Workspace
from services.generation import attempts, events, repository
from services.generation.attempts import Attempt, Result
from services.generation.dispatch import Dispatcher
from services.generation.engines.protocol import Progress, Stage
from services.generation.fakes.protected import new_key
from services.generation.faults import code_of
from services.generation.judgement import Judgement
from services.generation.metadata import mirage_version
from services.generation.metrics import TrainingMetrics
from services.generation.models import Job
from services.generation.progress import Throttle
from services.generation.quality.report import QUALITY_SCORE
from services.generation.sources import SourceChanged, SourceClient, fetch_table
from services.generation.states import Purpose
from services.generation.tables.columns import ColumnSpec
from services.generation.training.pace import SHARES
from services.generation.training.runner import OnProgress, TrainingFailed, TrainingRunner
from services.generation.training.spec import EvaluationSpec, Scoring, Split, TrainingSpec, TrainingSummary

log = structlog.get_logger(__name__)

# Uploads that have not come to be a job's result by then never will.
_UPLOADS_KEPT = timedelta(days=1)
# However long the training took, the judging of a small table has the time for it.
_LEAST_JUDGING_S = 10.0


@dataclass(frozen=True)
class WorkLimits:
    """What one job may take."""

    time_s: float
    memory_mb: int | None
    max_workers_lost: int


class JobWorker:
    """Does jobs. `stopping` makes it give back what it has."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        listener: Listener,
        store: ObjectStore,
        sources: SourceClient,
        runner: TrainingRunner,
        dispatcher: Dispatcher,
        workspace: Workspace,
        limits: WorkLimits,
        stopping: asyncio.Event,
        metrics: TrainingMetrics,
    ) -> None:
        self._sessions = sessions
        self._metrics = metrics
        self._attendant = Attendant(sessions, listener, events.CHANNEL, stopping)
        self._store = store
        self._sources = sources
        self._runner = runner
        self._dispatcher = dispatcher
        self._workspace = workspace
        self._limits = limits

    async def handle(self, row: QueueRow) -> None:
        """Does the job that a row of the queue names, to whatever end; raises only if the database stays away."""
        job_id = UUID((row.payload or b"").decode())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(job_id=str(job_id))
        async with self._sessions.begin() as session:
            job = await attempts.claim(session, self._dispatcher, job_id, row.id, self._limits.max_workers_lost)
        if job is None:
            log.info("row_dropped", queue_id=row.id)
            return
        structlog.contextvars.bind_contextvars(
            request_id=job.request_id, user_id=str(job.owner_id), attempt=job.attempts
        )
        attributes: tracing.Attributes = {"mirage.job_id": str(job.id), "mirage.purpose": job.purpose.value}
        with tracing.resuming("run job", job.traceparent, row.created, attributes) as span:
            log.info("job_claimed")
            with self._metrics.at_work.track_inprogress():
                ending = await self._attendant.attend(self._piece(job, Attempt(job.id, job.attempts)))
            self._metrics.attempts.labels(job.model_type, ending.value).inc()
            span.set("mirage.ending", ending.value)
            log.info("job_ended", ending=ending.value)

    def _piece(self, job: Job, attempt: Attempt) -> Piece:
        async def fail(session: AsyncSession, error: Exception) -> None:
            failure = _failure_of(error)
            tracing.current().fail(failure.reason)
            await attempts.fail(session, self._dispatcher, attempt, failure)
            self._metrics.failures.labels(failure.reason).inc()
            log.warning("job_failed", reason=failure.reason)

        return Piece(
            key=str(job.id),
            work=lambda: self._work(job, attempt),
            counts=lambda session: repository.attempt_counts(session, *attempt),
            fail=fail,
            give_back=lambda session: attempts.give_back(session, self._dispatcher, attempt),
        )

    async def _work(self, job: Job, attempt: Attempt) -> None:
        with self._workspace.directory() as directory:
            table = await self._fetch(job, directory)
            key = new_key()
            spec = TrainingSpec(
                directory=directory,
                table=table,
                columns=tuple(ColumnSpec.model_validate(spec) for spec in job.column_specs),
                engine=job.engine,
                model_type=job.model_type,
                parameters=job.parameters,
                sample_size=job.sample_size,
                seed=job.seed,
                holdout_fraction=job.holdout_fraction,
                conditions=job.conditions,
                scoring=_scoring_of(job),
                protection_key=key.hex(),
                time_limit_s=self._limits.time_s,
                memory_limit_mb=self._limits.memory_mb,
            )
            throttle, began = Throttle(), time.monotonic()
            meter = self._metrics.training(job)
            with tracing.stages() as stages:

                async def on_progress(progress: Progress) -> None:
                    stages.enter(progress.stage.value)
                    meter.progressed(progress)
                    for told in throttle.admit(progress, time.monotonic()):
                        await self._report(attempt, told)

                stages.enter("starting")
                summary = await self._runner.train(spec, on_progress)
                judgement = await self._judge(spec, summary, job, on_progress, began)
            for told in throttle.rest():
                await self._report(attempt, told)
            result = await self._store_results(job, attempt, summary, key, judgement)
            await self._attendant.conclude(lambda session: attempts.succeed(session, self._dispatcher, attempt, result))
            meter.done({**summary.seconds, Stage.EVALUATING.value: judgement.seconds}, summary.peak_memory_mb)

    async def _fetch(self, job: Job, directory: Path) -> Path:
        path = directory / "source.parquet"

        async def fetch() -> None:
            source = await self._sources.get(str(job.dataset_id), job.dataset_version, job.owner_id)
            if source.table_sha256 != job.source_sha256:
                raise SourceChanged
            await fetch_table(source, path)

        await patiently(fetch, Unavailable)
        return path

    async def _judge(
        self, trained: TrainingSpec, summary: TrainingSummary, job: Job, on_progress: OnProgress, began: float
    ) -> Judgement:
        """Judges the table, in the time that is left. Whatever goes wrong with it costs nobody the table."""
        spec = EvaluationSpec(
            output=trained.directory / "quality.json",
            training=trained.table,
            synthetic=summary.table_path,
            columns=trained.columns,
            split=Split(fraction=trained.holdout_fraction, seed=trained.seed, columns=trained.columns),
            conditions=trained.conditions,
            sensitive=tuple(job.sensitive_columns),
            seed=trained.seed,
            begun=SHARES[Stage.EVALUATING][0],
            time_limit_s=max(_LEAST_JUDGING_S, trained.time_limit_s - (time.monotonic() - began)),
            memory_limit_mb=trained.memory_limit_mb,
        )
        begins = time.monotonic()
        try:
            await self._runner.evaluate(spec, on_progress)
            document = await asyncio.to_thread(spec.output.read_bytes)
            return await asyncio.to_thread(Judgement.of, document, time.monotonic() - begins)
        except (TrainingFailed, OSError) as error:
            failure = _failure_of(error)
            log.warning("table_not_judged", reason=failure.reason)
            return Judgement.none(failure.message, time.monotonic() - begins)

    async def _store_results(
        self, job: Job, attempt: Attempt, summary: TrainingSummary, key: bytes, judgement: Judgement
    ) -> Result:
        folder = f"{job.owner_id}/{job.id}/{attempt.number}"
        model_key = f"{folder}/model.zip"
        table_key = None if job.purpose is Purpose.TRIAL else f"{folder}/synthetic.parquet"
        files = {model_key: summary.model_path} | ({table_key: summary.table_path} if table_key else {})
        due_at = utc_now() + _UPLOADS_KEPT
        await self._attendant.say(lambda session: attempts.reserve(session, attempt, list(files), due_at))
        for object_key, path in files.items():
            await patiently(partial(self._store.put_file, object_key, path), Unavailable)
        schema = await asyncio.to_thread(pq.read_schema, summary.table_path)
        return Result(
            table_key=table_key,
            table_sha256=summary.table_sha256,
            table_bytes=summary.table_bytes,
            rows=summary.rows,
            model_key=model_key,
            model_sha256=summary.model_sha256,
            model_bytes=summary.model_bytes,
            training_rows=summary.training_rows,
            training_seconds=summary.seconds.get("training", 0.0),
            columns=summary.columns,
            protection_key=key,
            details=_details(job, summary, {field.name: str(field.type) for field in schema}, judgement),
            judgement=judgement,
        )

    async def _report(self, attempt: Attempt, progress: Progress) -> None:
        """Tells the job's followers; what a search decides by isn't missed while the database is away."""
        tell = self._attendant.say if progress.scores else self._attendant.mention
        await tell(lambda session: attempts.report(session, self._dispatcher, attempt, progress))


def _scoring_of(job: Job) -> Scoring | None:
    """What is judged while a job trains: of a trial what its search asks for, of a job its quality now and then."""
    if job.purpose is Purpose.TRIAL:
        return None if job.scoring is None else Scoring.model_validate(job.scoring)
    return Scoring(metrics=(QUALITY_SCORE,), sensitive=tuple(job.sensitive_columns))


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, TrainingFailed):
        return Failure(code_of(error.reason), error.reason, error.message)
    if isinstance(error, SourceChanged):
        return Failure(
            StatusCode.DATA_LOSS, "SOURCE_CHANGED", "The dataset's table isn't the one the job was started on."
        )
    if isinstance(error, ServiceError):
        return Failure(error.code, error.reason, error.message)
    if is_disk_full(error):
        return _failure_of(StorageFull(TEMPORARY))
    log.error("unexpected_error", exc_info=error)
    return Failure(StatusCode.INTERNAL, "INTERNAL", "Something went wrong on our side. It has been logged.")


def _details(job: Job, summary: TrainingSummary, arrow_types: dict[str, str], judgement: Judgement) -> dict[str, Any]:
    """What the metadata document says beyond the job's own row."""
    specs = {spec["name"]: spec for spec in job.column_specs}
    return {
        "model": {"sha256": summary.model_sha256, "bytes": summary.model_bytes},
        "columns": [
            {"name": name, "type": specs[name]["type"], "role": specs[name]["role"], "arrow_type": arrow_type}
            for name, arrow_type in arrow_types.items()
        ],
        "versions": {"mirage": mirage_version(), **summary.versions},
        "seconds": {**summary.seconds, Stage.EVALUATING.value: round(judgement.seconds, 3)},
        "quality": judgement.figures,
        "training_rows": summary.training_rows,
        "holdout_rows": summary.holdout_rows,
        "peak_memory_mb": summary.peak_memory_mb,
    }
