"""The document that says how a synthetic table was made."""

from importlib.metadata import version
from typing import Any

from services.generation.models import Job


def mirage_version() -> str:
    """Mirage's own version."""
    return version("mirage-platform")


_OF_A_SEARCH = ("study_id", "n_trials", "trials_ended", "best_trial", "best_score")


def metadata_document(job: Job) -> dict[str, Any]:
    """What would be needed to make the table again, and to tell that a file is the one that was made."""
    details = job.details or {}
    return {
        "job_id": str(job.id),
        "name": job.name,
        "dataset": {
            "dataset_id": str(job.dataset_id),
            "version": job.dataset_version,
            "name": job.dataset_name,
            "row_count": job.source_row_count,
            "sha256": job.source_sha256,
        },
        "settings": {
            "engine": job.engine,
            "model_type": job.model_type,
            "model_config": job.parameters,
            "adjustments": job.adjustments,
            "sample_size": job.sample_size,
            "seed": job.seed,
            "columns": job.columns,
            "primary_key": job.primary_key,
            "target_column": job.target_column,
            "holdout_fraction": job.holdout_fraction,
            "conditions": job.conditions,
            "optimization": job.optimization or {},
        },
        "rows": {"training": details.get("training_rows"), "holdout": details.get("holdout_rows")},
        "model": {"model_id": str(job.model_id or ""), **details.get("model", {})},
        "table": {
            "sha256": job.table_sha256,
            "bytes": job.table_bytes,
            "row_count": job.rows_sampled,
            "columns": details.get("columns", []),
            "personal_data": job.personal_data,
        },
        "quality": {**details.get("quality", {}), "problem": job.quality_problem},
        "study_id": str(job.study_id or ""),
        "search": {name: value for name, value in (job.search or {}).items() if name in _OF_A_SEARCH},
        "versions": details.get("versions", {}),
        "timings": {
            "create_time": job.created_at.isoformat(),
            "start_time": job.started_at.isoformat() if job.started_at else None,
            "end_time": job.ended_at.isoformat() if job.ended_at else None,
            "seconds": details.get("seconds", {}),
        },
        "attempts": job.attempts,
        "peak_memory_mb": details.get("peak_memory_mb"),
    }
