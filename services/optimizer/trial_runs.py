"""One trial, run by the generation service and followed to its end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any
from uuid import UUID

import grpc
import structlog
from google.rpc import error_details_pb2
from grpc import StatusCode

from mirage.generation.v1 import job_pb2, quality_pb2, trial_pb2
from servicekit.clients import PeerError
from servicekit.errors import ServiceError, Unavailable
from servicekit.failures import Failure
from servicekit.patience import patiently
from services.optimizer.attempts import UNEXPECTED, Progress, Scores
from services.optimizer.trial_client import TrialClient, TrialOrder

log = structlog.get_logger(__name__)

# For so long the generation service may be away before a trial fails for it.
_PATIENCE_S = 600.0
# For so long it may answer with errors that nobody foresaw; one that it tells twice in a row it mostly tells for ever.
_FAULTS_BORNE_S = 30.0
_PAUSE_S = 0.5

# A token that was refused is replaced by a new one.
_PASSING = frozenset({StatusCode.UNAVAILABLE, StatusCode.UNAUTHENTICATED})

_WAITS = frozenset({job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_AWAITING_APPROVAL})
_ENDED = frozenset(
    {
        job_pb2.JOB_STATE_SUCCEEDED,
        job_pb2.JOB_STATE_FAILED,
        job_pb2.JOB_STATE_CANCELLED,
        job_pb2.JOB_STATE_REJECTED,
    }
)

CALLED_OFF = "TRIAL_CANCELLED"
"""Why a trial has failed that was called off, and not by whoever follows it."""

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
                times_run = trial.job.attempts
                await on_progress(_is_at_work(trial.job.state), times_run, _progress(trial.job))
                async with aclosing(self._trials.watch(order.study_id, order.number, resume)) as events:
                    async for event in events:
                        resume, lost_since = event.resume_token or resume, None
                        if event.kind != "heartbeat" and _is_after(event, trial.job):
                            times_run += event.kind == "state" and event.state == job_pb2.JOB_STATE_PREPARING
                            await on_progress(_is_at_work(event.state), times_run, _progress(event))
                        # Also those of a time when nobody followed it: what they decide is still to be decided.
                        if event.scores and not await on_scores(event.epoch, event.scores):
                            await patiently(lambda: self.cancel(order.study_id, order.number), Unavailable)
                            return Scores(dict(event.scores), tuple(trial.job.adjustments), pruned=True)
                trial = await self._trials.get(order.study_id, order.number)
                if trial.job.state in _ENDED:
                    return _scores_of(trial)
            except (ServiceError, grpc.RpcError) as error:
                now = time.monotonic()
                lost_since = now if lost_since is None else lost_since
                if now - lost_since >= _borne_s(error):
                    # Whatever it is, the trial may run all the same.
                    with suppress(ServiceError, grpc.RpcError):
                        await self.cancel(order.study_id, order.number)
                    raise TrialFailed(_told(error)) from error
                log.info("trial_out_of_sight", number=order.number, seconds=round(now - lost_since, 1))
            await asyncio.sleep(_PAUSE_S)

    async def cancel(self, study_id: UUID, number: int) -> None:
        """Calls a trial off; one that isn't there, or has ended, is left as it is."""
        try:
            await self._trials.cancel(study_id, number)
        except PeerError as error:
            if error.code is not StatusCode.NOT_FOUND:
                raise


def _borne_s(error: ServiceError | grpc.RpcError) -> float:
    """For how many seconds an error of a call may come again and again before the trial fails of it."""
    if not isinstance(error, ServiceError):
        return _FAULTS_BORNE_S
    return _PATIENCE_S if error.code in _PASSING else 0.0


def _told(error: ServiceError | grpc.RpcError) -> Failure:
    return Failure(error.code, error.reason, error.message) if isinstance(error, ServiceError) else UNEXPECTED


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
        return Failure(StatusCode.CANCELLED, CALLED_OFF, "The trial was called off by somebody else.")
    return Failure(codes.get(job.error.code, StatusCode.UNKNOWN), reason or "TRIAL_FAILED", job.error.message)
