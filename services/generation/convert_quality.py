"""Pure: quality reports to messages, and what asks for them to fields."""

from datetime import datetime
from typing import Any

from mirage.generation.v1 import quality_pb2
from servicekit.timestamps import to_timestamp
from services.generation.quality.report import Detail, Figure, Metric, Part, QualityReport


def report_to_proto(report: QualityReport, judged_at: datetime, job_id: str = "") -> quality_pb2.QualityReport:
    """A quality report, without what only its page draws; `job_id` where it is about a job's table."""
    return quality_pb2.QualityReport(
        job_id=job_id,
        quality_score=_figure(report.quality_score),
        parts=[_part(part) for part in report.parts],
        rows=quality_pb2.JudgedRows(
            training=report.rows.training,
            holdout=report.rows.holdout,
            synthetic=report.rows.synthetic,
            judged=report.rows.judged,
        ),
        target_column=report.target_column,
        target_chosen=report.target_chosen,
        sensitive_columns=report.sensitive_columns,
        findings=[
            quality_pb2.Finding(verdict=finding.verdict, part=finding.part, text=finding.text)
            for finding in report.findings
        ],
        notes=report.notes,
        seed=report.seed,
        seconds=report.seconds,
        create_time=to_timestamp(judged_at),
    )


def evaluation_fields(request: quality_pb2.EvaluateTableRequest) -> dict[str, Any]:
    """A request to judge a table field by field; what isn't set is left out."""
    versions = ("dataset_version", "table_dataset_version", "holdout_dataset_version")
    texts = ("dataset_id", "table_dataset_id", "job_id", "holdout_dataset_id", "target_column")
    fields: dict[str, Any] = {name: value for name in (*versions, *texts) if (value := getattr(request, name))}
    fields |= {"sensitive_columns": tuple(request.sensitive_columns), "columns": tuple(request.columns)}
    if request.HasField("seed"):
        fields["seed"] = request.seed
    return fields


def _part(part: Part) -> quality_pb2.QualityPart:
    return quality_pb2.QualityPart(
        name=part.name,
        score=_figure(part.score),
        weight=part.weight,
        reason=part.reason,
        metrics=[_metric(metric) for metric in part.metrics],
    )


def _metric(metric: Metric) -> quality_pb2.QualityMetric:
    return quality_pb2.QualityMetric(
        name=metric.name,
        figure=_figure(metric.figure),
        score=metric.score,
        higher_is_better=metric.higher_is_better,
        description=metric.description,
        details=[_detail(detail) for detail in metric.details],
    )


def _detail(detail: Detail) -> quality_pb2.QualityDetail:
    return quality_pb2.QualityDetail(columns=detail.columns, figure=_figure(detail.figure))


def _figure(figure: Figure | None) -> quality_pb2.Figure | None:
    if figure is None:
        return None
    return quality_pb2.Figure(value=figure.value, low=figure.low, high=figure.high, ceiling=figure.ceiling)
