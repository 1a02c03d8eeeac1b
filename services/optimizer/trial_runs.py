"""One trial, run by the generation service and followed to its end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any
from uuid import UUID

import structlog
from google.rpc import error_details_pb2
from grpc import StatusCode

from mirage.generation.v1 import job_pb2, quality_pb2, trial_pb2
from servicekit.clients import PeerError
from servicekit.errors import Unavailable
from servicekit.failures import Failure
from services.optimizer.attempts import Progress, Scores
from services.optimizer.trial_client import TrialClient, TrialOrder

log = structlog.get_logger(__name__)

# For so long the generation service may be away before a trial fails for it.
_PATIENCE_S = 600.0
_PAUSE_S = 0.5

_WAITS = frozenset({job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_AWAITING_APPROVAL})
_ENDED = frozenset(
    {
        job_pb2.JOB_STATE_SUCCEEDED,
        job_pb2.JOB_STATE_FAILED,
        job_pb2.JOB_STATE_CANCELLED,
        job_pb2.JOB_STATE_REJECTED,
    }
)

OnProgress = Callable[[bool, int, Progress], Awaitable[None]]
"""Told whether a worker has the trial, how often one has taken it up, and how far it is."""


OnScores = Callable[[int, Mapping[str, float]], Awaitable[bool]]
"""Told scores on the way, after so many epochs; says whether the trial may go on."""


class TrialFailed(Exception):
    """The trial has no scores, and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class TrialRunner:
    """Has trials run."""

    def __init__(self, trials: TrialClient) -> None:
        self._trials = trials

    async def run(self, order: TrialOrder, on_progress: OnProgress, on_scores: OnScores) -> Scores:
        """Orders a trial, or takes it up where it stands, and waits for its scores.

        While the generation service is away this waits, for a while. A trial that may not go on is called off, and its
        scores are those that it had by then.

        Raises:
            TrialFailed: it has none.
        """
        lost_since: float | None = None
        resume = ""
        while True:
            try:
                trial = await self._trials.start(order)
                lost_since = None
                times_run = trial.job.attempts
                await on_progress(_is_at_work(trial.job.state), times_run, _progress(trial.job))
                async with aclosing(self._trials.watch(order.study_id, order.number, resume)) as events:
                    async for event in events:
                        resume = event.resume_token or resume
                        if event.kind == "heartbeat" or not _is_after(event, trial.job):
                            continue
                        times_run += event.kind == "state" and event.state == job_pb2.JOB_STATE_PREPARING
                        await on_progress(_is_at_work(event.state), times_run, _progress(event))
                        if event.scores and not await on_scores(event.epoch, event.scores):
                            await self.cancel(order.study_id, order.number)
                            return Scores(dict(event.scores), tuple(trial.job.adjustments), pruned=True)
                trial = await self._trials.get(order.study_id, order.number)
                if trial.job.state in _ENDED:
                    return _scores_of(trial)
            except PeerError as error:
                if error.code is not StatusCode.UNAVAILABLE:
                    raise TrialFailed(Failure(error.code, error.reason, error.message)) from error
                lost_since = self._lost(lost_since, error)
            except Unavailable as error:
                lost_since = self._lost(lost_since, error)
            await asyncio.sleep(_PAUSE_S)

    def _lost(self, since: float | None, error: PeerError | Unavailable) -> float:
        """Since when the generation service has been away.

        Raises:
            TrialFailed: for too long.
        """
        now = time.monotonic()
        since = now if since is None else since
        if now - since > _PATIENCE_S:
            raise TrialFailed(Failure(error.code, error.reason, error.message)) from error
        log.info("generation_away", seconds=round(now - since, 1))
        return since

    async def cancel(self, study_id: UUID, number: int) -> None:
        """Calls a trial off; one that isn't there, or has ended, is left as it is."""
        try:
            await self._trials.cancel(study_id, number)
        except PeerError as error:
            if error.code is not StatusCode.NOT_FOUND:
                raise


def _is_after(event: job_pb2.JobEvent, job: job_pb2.Job) -> bool:
    """Whether something happened after the job stood as it is told."""
    return event.event_time.ToNanoseconds() > job.update_time.ToNanoseconds()


def _progress(row: job_pb2.Job | job_pb2.JobEvent) -> Progress:
    return Progress(row.epoch, row.epochs, dict(row.losses))


def _is_at_work(state: job_pb2.JobState.ValueType) -> bool:
    return state not in _WAITS


def _scores_of(trial: trial_pb2.Trial) -> Scores:
    """The scores of a trial that has ended.

    Raises:
        TrialFailed: it has none.
    """
    job = trial.job
    if job.state != job_pb2.JOB_STATE_SUCCEEDED:
        raise TrialFailed(_failure_of(job))
    metrics = metrics_of(trial.quality)
    if not metrics:
        why = job.quality_problem or "Nothing of its rows could be judged."
        raise TrialFailed(Failure(StatusCode.FAILED_PRECONDITION, "NOTHING_MEASURED", why))
    return Scores(metrics, tuple(job.adjustments))


def metrics_of(report: quality_pb2.QualityReport) -> dict[str, float]:
    """Every figure of a report by its name: the score, the parts, and a part's metrics as `privacy.membership_auc`."""
    metrics: dict[str, float] = {}
    if report.HasField("quality_score"):
        metrics["quality_score"] = report.quality_score.value
    for part in report.parts:
        if part.HasField("score"):
            metrics[part.name] = part.score.value
        for metric in part.metrics:
            if metric.HasField("figure"):
                name = metric.name if "." in metric.name else f"{part.name}.{metric.name}"
                metrics[name] = metric.figure.value
    return metrics


def _failure_of(job: job_pb2.Job) -> Failure:
    reason = ""
    for detail in job.error.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            reason = info.reason
    codes: dict[Any, StatusCode] = {code.value[0]: code for code in StatusCode}
    if not job.HasField("error"):
        return Failure(StatusCode.CANCELLED, "TRIAL_CANCELLED", "The trial was called off by somebody else.")
    return Failure(codes.get(job.error.code, StatusCode.UNKNOWN), reason or "TRIAL_FAILED", job.error.message)
