"""What the generation service tells the platform's log, each in the transaction of its change.

Trials of searches are the search's own affair: their jobs and hidden models are told by nobody but it.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import outbox
from servicekit.event_kinds import EventKind
from servicekit.events import happened, version_id
from services.generation.models import Job, Model
from services.generation.states import JobState, Purpose

_MEBIBYTE = 1024 * 1024
_KINDS: Mapping[JobState, EventKind] = {
    JobState.PREPARING: EventKind.JOB_STARTED,
    JobState.SUCCEEDED: EventKind.JOB_SUCCEEDED,
    JobState.FAILED: EventKind.JOB_FAILED,
    JobState.CANCELLED: EventKind.JOB_CANCELLED,
    JobState.REJECTED: EventKind.JOB_REJECTED,
}


async def job_created(session: AsyncSession, job: Job) -> None:
    """Somebody has asked for a table; it may have to be approved first."""
    if job.purpose is not Purpose.JOB:
        return
    facts = {
        **_settings(job),
        "sample_size": job.sample_size,
        "output_format": job.output_format,
        "columns": len(job.column_specs),
        "holdout_fraction": job.holdout_fraction,
        "conditions": sorted(job.conditions),
        "source_sha256": job.source_sha256,
        "searched": job.optimization is not None,
    }
    await _tell(session, EventKind.JOB_CREATED, job, facts)
    if job.state is JobState.AWAITING_APPROVAL:
        await _tell(session, EventKind.JOB_APPROVAL_REQUESTED, job, {"sample_size": job.sample_size})


async def job_moved(session: AsyncSession, job: Job, left: JobState, message: str) -> None:
    """A job has come from one state to the one in which it is."""
    approved = left is JobState.AWAITING_APPROVAL and job.state is JobState.QUEUED
    kind = EventKind.JOB_APPROVED if approved else _KINDS.get(job.state)
    if kind is not None and job.purpose is Purpose.JOB:
        await _tell(session, kind, job, _facts_of_move(kind, job, message))


async def job_deleted(session: AsyncSession, job: Job) -> None:
    """A job is gone, with its table and its report."""
    if job.purpose is Purpose.JOB:
        await _tell(session, EventKind.JOB_DELETED, job, {"table_bytes": job.table_bytes})


async def table_downloaded(session: AsyncSession, job: Job, how: Mapping[str, Any]) -> None:
    """A synthetic table leaves as a file."""
    facts = {"table_sha256": job.table_sha256, "rows": job.rows_sampled, **how}
    await _tell(session, EventKind.TABLE_DOWNLOADED, job, facts, object_type="table")


async def report_viewed(session: AsyncSession, job: Job, how: Mapping[str, Any]) -> None:
    """Somebody looks at how good a table is."""
    facts = {"quality_score": job.quality_score, **how}
    await _tell(session, EventKind.REPORT_VIEWED, job, facts, object_type="report")


async def model_sampled(session: AsyncSession, model: Model, how: Mapping[str, Any]) -> None:
    """Rows are drawn from a kept model."""
    await _tell_of_model(session, EventKind.MODEL_SAMPLED, model, how)


async def model_deleted(session: AsyncSession, model: Model) -> None:
    """A fitted model is gone."""
    if not model.hidden:
        await _tell_of_model(session, EventKind.MODEL_DELETED, model, {"bytes": model.object_bytes})


async def evaluation_made(
    session: AsyncSession, owner_id: UUID, dataset_id: str, version: int, facts: Mapping[str, Any], job_id: str = ""
) -> None:
    """A table was judged against a version of a dataset; `job_id` says which job made it, if one did."""
    event = happened(
        EventKind.EVALUATION_MADE,
        "report",
        owner_id=owner_id,
        related={"dataset_id": dataset_id, "dataset_version_id": version_id(dataset_id, version), "job_id": job_id},
        attributes={"dataset_version": version, **facts},
    )
    await outbox.add(session, event)


def _facts_of_move(kind: EventKind, job: Job, message: str) -> dict[str, Any]:
    match kind:
        case EventKind.JOB_STARTED:
            return {"attempt": job.attempts, **_settings(job)}
        case EventKind.JOB_SUCCEEDED:
            return _outcome(job)
        case EventKind.JOB_FAILED:
            return {**_settings(job), "reason": job.error_reason, "seconds_total": _seconds(job)}
        case EventKind.JOB_CANCELLED:
            return {"seconds_total": _seconds(job)}
        case _:  # an administrator's word, which says why
            return {"reason": message}


def _settings(job: Job) -> dict[str, Any]:
    return {
        "model_type": job.model_type,
        "engine": job.engine,
        "settings": job.parameters,
        "seed": job.seed,
        "dataset_version": job.dataset_version,
        "source_rows": job.source_row_count,
    }


def _outcome(job: Job) -> dict[str, Any]:
    details = job.details or {}
    peak_mb = details.get("peak_memory_mb")
    quality = {name: figures.get("value") for name, figures in details.get("quality", {}).items()}
    return {
        **_settings(job),
        "rows": job.rows_sampled,
        "bytes": job.table_bytes,
        "table_sha256": job.table_sha256,
        "model_sha256": details.get("model", {}).get("sha256"),
        "model_bytes": details.get("model", {}).get("bytes"),
        "training_rows": details.get("training_rows"),
        "holdout_rows": details.get("holdout_rows"),
        "seconds": details.get("seconds"),
        "seconds_total": _seconds(job),
        "peak_memory_bytes": int(peak_mb * _MEBIBYTE) if peak_mb else None,
        "quality_score": job.quality_score,
        "quality": {name: value for name, value in quality.items() if name != "quality_score"},
        "versions": details.get("versions"),
        "output_format": job.output_format,
        "attempts": job.attempts,
    }


def _seconds(job: Job) -> float | None:
    """From the time when a worker first took the job up to its end; None where none has."""
    if job.started_at is None or job.ended_at is None:
        return None
    return round((job.ended_at - job.started_at).total_seconds(), 3)


async def _tell(
    session: AsyncSession, kind: EventKind, job: Job, attributes: Mapping[str, Any], *, object_type: str = "job"
) -> None:
    event = happened(
        kind,
        object_type,
        job.id,
        owner_id=job.owner_id,
        related={
            "job_id": job.id if object_type != "job" else None,
            "dataset_id": job.dataset_id,
            "dataset_version_id": version_id(job.dataset_id, job.dataset_version),
            "model_id": job.model_id,
            "study_id": job.study_id,
        },
        attributes=attributes,
        personal={"name": job.name, "message": job.error_message},
    )
    await outbox.add(session, event)


async def _tell_of_model(session: AsyncSession, kind: EventKind, model: Model, attributes: Mapping[str, Any]) -> None:
    event = happened(
        kind,
        "model",
        model.id,
        owner_id=model.owner_id,
        related={
            "job_id": model.job_id,
            "dataset_id": model.dataset_id,
            "dataset_version_id": version_id(model.dataset_id, model.dataset_version),
        },
        attributes={"model_type": model.model_type, "model_sha256": model.object_sha256, **attributes},
    )
    await outbox.add(session, event)
