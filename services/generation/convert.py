"""Pure: rows and plans to messages, messages to fields."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple
from uuid import UUID

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from mirage.generation.v1 import job_pb2, model_pb2, personal_data_pb2, quality_pb2, trial_pb2
from servicekit.enums import EnumNames
from servicekit.errors import InvalidRequest, Violation
from servicekit.failures import failure_to_proto
from servicekit.follow import encode_resume_token
from servicekit.structs import from_struct, to_struct
from servicekit.timestamps import to_timestamp, utc_now
from services.generation.convert_quality import report_to_proto
from services.generation.engines.catalogue import ModelTypeDescription, ParameterDescription, describe_model_types
from services.generation.models import Job, JobEvent, Model, Standing, StoredReport
from services.generation.planning import Verdict
from services.generation.quality.report import QUALITY_SCORE, PartName, QualityReport
from services.generation.requests import OUTPUT_FORMATS, RequestLimits
from services.generation.settings import Settings
from services.generation.states import JobState
from services.generation.training.spec import Scoring

_STATES = EnumNames(JobState, job_pb2.JobState, "JOB_STATE_")
_STRUCTS: tuple[Literal["model_config", "optimization_config", "privacy", "conditions"], ...] = (
    "model_config",
    "optimization_config",
    "privacy",
    "conditions",
)
_OPTIONAL: tuple[Literal["sample_size", "seed", "holdout_fraction"], ...] = ("sample_size", "seed", "holdout_fraction")
_PLAIN = ("dataset_version", "include_metadata", "primary_key", "target_column", "engine", "name")


def request_fields(request: job_pb2.StartJobRequest) -> dict[str, Any]:
    """A request field by field; what isn't set is left out."""
    fields: dict[str, Any] = {name: getattr(request, name) for name in _PLAIN}
    fields |= {name: getattr(request, name) for name in _OPTIONAL if request.HasField(name)}
    fields |= {name: from_struct(getattr(request, name)) for name in _STRUCTS if request.HasField(name)}
    fields |= {name: getattr(request, name) for name in ("dataset_id", "output_format") if getattr(request, name)}
    return fields | {"columns": tuple(request.columns)}


def description_fields(request: trial_pb2.DescribeTableRequest) -> dict[str, Any]:
    """What a search asks of a table and a model, as fields of a request for a job."""
    names = ("dataset_id", "dataset_version", "target_column", "engine")
    fields: dict[str, Any] = {name: getattr(request, name) for name in names}
    if request.HasField("holdout_fraction"):
        fields["holdout_fraction"] = request.holdout_fraction
    return fields | {"model_config": from_struct(request.model_config), "columns": tuple(request.columns)}


def sample_fields(request: model_pb2.SampleModelRequest) -> dict[str, Any]:
    """A request for rows field by field; what isn't set is left out."""
    fields: dict[str, Any] = {"conditions": from_struct(request.conditions)}
    if request.HasField("n"):
        fields["n"] = request.n
    if request.HasField("seed"):
        fields["seed"] = request.seed
    if request.format:
        fields["format"] = request.format
    return fields


def state_from_proto(state: job_pb2.JobState.ValueType) -> JobState | None:
    """The state that a filter names; None for none.

    Raises:
        InvalidRequest: there is no such state.
    """
    return _STATES.from_proto("state", state)


def job_to_proto(job: Job) -> job_pb2.Job:
    """A job."""
    return job_pb2.Job(
        job_id=str(job.id),
        owner_id=str(job.owner_id),
        name=job.name,
        dataset_id=str(job.dataset_id),
        dataset_version=job.dataset_version,
        **_standing(job),
        sample_size=job.sample_size,
        seed=job.seed,
        engine=job.engine,
        model_type=job.model_type,
        model_config=to_struct(job.parameters),
        adjustments=job.adjustments,
        output_format=job.output_format,
        include_metadata=job.include_metadata,
        model_id=str(job.model_id or ""),
        attempts=job.attempts,
        create_time=to_timestamp(job.created_at),
        start_time=to_timestamp(job.started_at),
        end_time=to_timestamp(job.ended_at),
        update_time=to_timestamp(job.updated_at),
        columns=job.columns,
        primary_key=job.primary_key,
        target_column=job.target_column,
        holdout_fraction=job.holdout_fraction,
        conditions=to_struct(job.conditions),
        table_sha256=job.table_sha256 or "",
        table_bytes=job.table_bytes or 0,
        invented_columns=_invented(job.personal_data),
        study_id=str(job.study_id or ""),
        quality_problem=job.quality_problem,
        review=_review(job),
    )


def scoring_of(request: trial_pb2.StartTrialRequest) -> Scoring | None:
    """What a search wants judged while a trial trains; None where that is nothing.

    Raises:
        InvalidRequest: there is no such metric.
    """
    parts = set(PartName)
    wrong = [
        Violation(f"score_metrics.{index}", f"must be {QUALITY_SCORE}, or one of {', '.join(PartName)} or its figure")
        for index, metric in enumerate(request.score_metrics)
        if metric != QUALITY_SCORE and metric.split(".", maxsplit=1)[0] not in parts
    ]
    if wrong:
        raise InvalidRequest(wrong)
    if not request.score_epochs:
        return None
    return Scoring(
        epochs=tuple(request.score_epochs),
        metrics=tuple(request.score_metrics) or (QUALITY_SCORE,),
        sensitive=tuple(request.sensitive_columns),
    )


def _review(job: Job) -> job_pb2.Review | None:
    if job.approved is None:
        return None
    return job_pb2.Review(approved=job.approved, reason=job.review_reason, review_time=to_timestamp(job.reviewed_at))


def trial_to_proto(job: Job, stored: StoredReport | None) -> trial_pb2.Trial:
    """A trial, with how good its rows were once they were judged."""
    return trial_pb2.Trial(
        study_id=str(job.study_id),
        number=job.trial_number or 0,
        job=job_to_proto(job),
        quality=stored_report_to_proto(stored) if stored else None,
    )


def stored_report_to_proto(stored: StoredReport) -> quality_pb2.QualityReport:
    """How good a job's table is."""
    report = QualityReport.model_validate_json(stored.document)
    return report_to_proto(report, stored.created_at, str(stored.job_id))


def event_to_proto(event: JobEvent) -> job_pb2.JobEvent:
    """An event."""
    return job_pb2.JobEvent(
        job_id=str(event.job_id),
        sequence=event.seq,
        resume_token=encode_resume_token(event.job_id, event.seq),
        kind=event.kind,
        **_standing(event),
        message=event.message,
        search=_search(event.search),
        scores=event.scores,
        event_time=to_timestamp(event.created_at),
    )


def _search(search: Mapping[str, Any] | None) -> job_pb2.SearchProgress | None:
    if search is None:
        return None
    return job_pb2.SearchProgress(
        study_id=search["study_id"],
        trials_ended=search.get("trials_ended", 0),
        n_trials=search.get("n_trials", 0),
        trial=search.get("trial", 0),
        best_trial=search.get("best_trial", 0),
        best_score=search.get("best_score"),
    )


class ShownEvent(NamedTuple):
    """An event with its message, made once for all who watch the job."""

    seq: int
    last: bool
    message: job_pb2.JobEvent


def shown_event(event: JobEvent) -> ShownEvent:
    """An event as watchers get it."""
    return ShownEvent(event.seq, event.last, event_to_proto(event))


def heartbeat_to_proto(job_id: UUID, after: int) -> job_pb2.JobEvent:
    """What is sent where nothing has happened for a while."""
    return job_pb2.JobEvent(
        job_id=str(job_id),
        resume_token=encode_resume_token(job_id, after),
        kind="heartbeat",
        event_time=to_timestamp(utc_now()),
    )


def verdict_to_proto(verdict: Verdict) -> job_pb2.JobValidation:
    """What would come of a request."""
    estimate = verdict.plan.estimate if verdict.plan else None
    return job_pb2.JobValidation(
        valid=verdict.plan is not None,
        violations=[
            job_pb2.Violation(field=field, description=description) for field, description in verdict.violations
        ],
        adjustments=[
            *(verdict.model.adjustments if verdict.model else ()),
            *(verdict.plan.notes if verdict.plan else ()),
        ],
        model_config=to_struct(verdict.model.parameters) if verdict.model else None,
        estimated_seconds=estimate.seconds if estimate else None,
        estimated_memory_mb=estimate.memory_mb if estimate else None,
        invented_columns=_invented(verdict.plan.personal_data if verdict.plan else ()),
    )


def _invented(columns: Iterable[Mapping[str, Any]]) -> list[personal_data_pb2.InventedColumn]:
    return [personal_data_pb2.InventedColumn(**column) for column in columns]


def model_to_proto(model: Model) -> model_pb2.Model:
    """A fitted model."""
    return model_pb2.Model(
        model_id=str(model.id),
        owner_id=str(model.owner_id),
        name=model.name,
        job_id=str(model.job_id),
        dataset_id=str(model.dataset_id),
        dataset_version=model.dataset_version,
        engine=model.engine,
        model_type=model.model_type,
        model_config=to_struct(model.parameters),
        seed=model.seed,
        training_row_count=model.training_row_count,
        training_seconds=model.training_seconds,
        model_bytes=model.object_bytes,
        model_sha256=model.object_sha256,
        columns=model.column_names,
        create_time=to_timestamp(model.created_at),
        invented_columns=_invented(model.personal_data),
    )


def configuration_to_proto(limits: RequestLimits, settings: Settings) -> job_pb2.Configuration:
    """What can be asked for."""
    return job_pb2.Configuration(
        model_types=[model_type_to_proto(description) for description in describe_model_types(limits.epochs)],
        output_formats=OUTPUT_FORMATS,
        minimum_sample_size=limits.minimum_sample_size,
        maximum_sample_size=limits.maximum_sample_size,
        default_sample_size=limits.default_sample_size,
        maximum_concurrent_jobs=settings.max_concurrent_generations,
        retention_days=settings.retention_days,
        storage_quota_mb=settings.storage_quota_mb,
        approval_required=settings.require_approval,
        rows_without_approval=settings.auto_approve_below_rows,
    )


def model_type_to_proto(description: ModelTypeDescription) -> job_pb2.ModelType:
    """A model type with its parameters."""
    return job_pb2.ModelType(
        name=description.name,
        engines=description.engines,
        description=description.description,
        parameters=[_parameter(parameter) for parameter in description.parameters],
        recommendations=[
            job_pb2.Recommendation(up_to_rows=advice.up_to_rows, parameters=to_struct(advice.parameters))
            for advice in description.recommendations
        ],
        scores_while_training=description.scores_while_training,
    )


def _parameter(parameter: ParameterDescription) -> job_pb2.Parameter:
    return job_pb2.Parameter(
        name=parameter.name,
        type=parameter.type,
        description=parameter.description,
        default=_value(parameter.default),
        minimum=parameter.minimum,
        maximum=parameter.maximum,
        choices=parameter.choices,
    )


def _value(plain: Any) -> Value:
    return ParseDict(plain, Value())


def _standing(row: Standing) -> Mapping[str, Any]:
    """How a job stands, as the job and its events show it."""
    return {
        "state": _STATES.to_proto(row.state),
        "progress": row.progress,
        "stage": row.stage,
        "epoch": row.epoch,
        "epochs": row.epochs,
        "losses": row.losses,
        "rows_sampled": row.rows_sampled,
        "seconds_left": row.seconds_left,
        "quality_score": row.quality_score,
        "error": failure_to_proto(row),
    }
