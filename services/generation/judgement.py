"""What came of judging a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from services.generation.quality.report import QualityReport


@dataclass(frozen=True)
class Judgement:
    """A quality report as JSON with its score, or why there is none.

    Attributes:
        document: the report; None if the table couldn't be judged.
        score: the quality score, 0 to 1; None if no part could be measured.
        problem: why there is no score, in words; empty where there is one.
        seconds: what the judging took.
        figures: the score, and that of each part that could be measured, by name, each with its interval and ceiling.
    """

    document: bytes | None
    score: float | None
    problem: str
    seconds: float
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, document: bytes, seconds: float) -> Self:
        """The judgement in a report."""
        report = QualityReport.model_validate_json(document)
        if report.quality_score is not None:
            scores = {"quality_score": report.quality_score} | {str(part.name): part.score for part in report.parts}
            figures = {name: score.model_dump(exclude_none=True) for name, score in scores.items() if score}
            return cls(document, report.quality_score.value, "", seconds, figures)
        reasons = dict.fromkeys(part.reason for part in report.parts if part.reason)
        return cls(document, None, " ".join(reasons) or "No part of the quality could be measured.", seconds)

    @classmethod
    def none(cls, problem: str, seconds: float) -> Self:
        """That a table couldn't be judged."""
        return cls(None, None, problem, seconds)
