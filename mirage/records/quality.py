"""How good synthetic tables are."""

from mirage.generation.v1 import quality_pb2
from mirage.records.base import Field, OptionalField, Record, texts, time


class Figure(Record[quality_pb2.Figure]):
    """One figure, with what it takes to read it."""

    value = Field("value", float, "The figure.")
    low = OptionalField("low", float, "Lower end of its 95 % interval; None where there is none.")
    high = OptionalField("high", float, "Upper end of its 95 % interval; None where there is none.")
    ceiling = OptionalField(
        "ceiling", float, "The same for real rows that the model has never seen: as good as it gets. None without such."
    )

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        interval = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        ceiling = "" if self.ceiling is None else f", ceiling {self.ceiling:.3f}"
        return f"<Figure {self.value:.3f}{interval}{ceiling}>"


class QualityDetail(Record[quality_pb2.QualityDetail]):
    """A metric of one column, pair or triple of columns."""

    columns = Field("columns", texts, "The columns.")
    figure = Field("figure", Figure, "The figure.")

    def __repr__(self) -> str:
        return f"<QualityDetail {', '.join(self.columns)}: {self.figure.value:.3f}>"


class QualityMetric(Record[quality_pb2.QualityMetric]):
    """One metric of a part."""

    name = Field("name", str, "Its name, such as `membership_auc`.")
    figure = Field("figure", Figure, "What was measured, in the metric's own unit.")
    score = OptionalField("score", float, "What it counts for in the part, 0 to 1; None if it only informs.")
    higher_is_better = Field("higher_is_better", bool, "Whether more is better; otherwise less is.")
    description = Field("description", str, "What it is, in a sentence.")
    details = Field(
        "details", lambda told: [QualityDetail(each) for each in told], "The figure for each column, pair or triple."
    )

    def __repr__(self) -> str:
        return f"<QualityMetric {self.name} {self.figure.value:.3f}>"


class QualityPart(Record[quality_pb2.QualityPart]):
    """One part of the quality."""

    name = Field("name", str, "Such as `statistical_similarity`.")
    score = OptionalField("score", Figure, "The part's score, 0 to 1; None if it couldn't be measured.")
    weight = Field("weight", float, "Its share in the quality score, 0 to 1.")
    reason = Field("reason", str, "Why it couldn't be measured; empty if it could.")
    metrics = Field("metrics", lambda told: [QualityMetric(each) for each in told], "What it is made of.")

    def __repr__(self) -> str:
        return f"<QualityPart {self.name} {'not measured' if self.score is None else f'{self.score.value:.3f}'}>"


class Finding(Record[quality_pb2.Finding]):
    """Something that the report has found, in words."""

    verdict = Field("verdict", str, "`good`, `fair`, `poor`, or `unknown` where it couldn't be measured.")
    part = Field("part", str, "The part that it is about, or `quality_score`.")
    text = Field("text", str, "The finding, in a sentence or two.")

    def __repr__(self) -> str:
        return f"<Finding {self.verdict}: {self.text}>"


class JudgedRows(Record[quality_pb2.JudgedRows]):
    """Which rows were judged."""

    training = Field("training", int, "Real rows that the model was trained on.")
    holdout = Field("holdout", int, "Real rows that it has never seen.")
    synthetic = Field("synthetic", int, "Synthetic rows.")
    judged = Field("judged", int, "How many of each were judged at most.")

    def __repr__(self) -> str:
        return f"<JudgedRows {self.synthetic:,} synthetic, {self.training:,} training, {self.holdout:,} never seen>"


class QualityReport(Record[quality_pb2.QualityReport]):
    """How faithful, how useful and how private a synthetic table is."""

    job_id = Field("job_id", str, "The job whose table it judges; empty for another table.")
    score = OptionalField("quality_score", Figure, "Everything together, 0 to 1; None if no part could be measured.")
    parts = Field(
        "parts",
        lambda told: {each.name: QualityPart(each) for each in told},
        "By name: `statistical_similarity`, `correlation_preservation`, `ml_efficacy` and `privacy`.",
    )
    rows = Field("rows", JudgedRows, "Which rows were judged.")
    target_column = Field("target_column", str, "The column that a model predicted; empty if none would do.")
    target_chosen = Field("target_chosen", bool, "Whether the target was chosen by the platform.")
    sensitive_columns = Field("sensitive_columns", texts, "Columns that the attribute inference went for.")
    findings = Field(
        "findings", lambda told: [Finding(each) for each in told], "The verdict in words, the most important first."
    )
    notes = Field("notes", texts, "What one should know to read the figures.")
    seed = Field("seed", int, "What governed every random choice.")
    seconds = Field("seconds", float, "Seconds that the judging took.")
    create_time = Field("create_time", time, "When it was judged.")

    def metrics(self) -> dict[str, float]:
        """Returns every figure by its name: `quality_score`, `privacy`, `privacy.membership_auc` and so on."""
        found = {} if self.score is None else {"quality_score": self.score.value}
        for name, part in self.parts.items():
            if part.score is not None:
                found[name] = part.score.value
            found |= {f"{name}.{metric.name}": metric.figure.value for metric in part.metrics}
        return found

    def __repr__(self) -> str:
        score = "not measured" if self.score is None else f"{self.score.value:.3f}"
        return f"<QualityReport {score}, {', '.join(map(repr, self.parts.values()))}>"
