"""What a quality report says: plain data that is stored as JSON, told in the contract and drawn on a page.

docs/quality.md defines every figure, with its formula and source.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT: Literal[1] = 1


QUALITY_SCORE = "quality_score"
"""The name of the figure that all parts together have."""


class PartName(StrEnum):
    """The parts of the quality."""

    STATISTICAL_SIMILARITY = "statistical_similarity"
    CORRELATION_PRESERVATION = "correlation_preservation"
    ML_EFFICACY = "ml_efficacy"
    PRIVACY = "privacy"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Record):
    """One figure, with what it takes to read it.

    `low` and `high` are the ends of its 95 % interval by bootstrap. `ceiling` is the same figure for real rows that the
    generator has never seen against those it was trained on, in the same number: as good as it gets.
    """

    value: float
    low: float | None = None
    high: float | None = None
    ceiling: float | None = None


class Detail(_Record):
    """A metric of one column, pair or triple of columns."""

    columns: tuple[str, ...] = Field(min_length=1)
    figure: Figure


class Metric(_Record):
    """A metric of a part. `score`, 0 to 1, goes into the part's with `weight`, its share; None if it only informs."""

    name: str
    figure: Figure
    score: float | None = Field(None, ge=0, le=1)
    weight: float = Field(0.0, ge=0, le=1)
    higher_is_better: bool = True
    description: str
    details: tuple[Detail, ...] = ()


class Part(_Record):
    """One part of the quality. Where it couldn't be measured `score` is None and `reason` says why."""

    name: PartName
    score: Figure | None
    weight: float = Field(0.0, ge=0, le=1)
    reason: str = ""
    metrics: tuple[Metric, ...] = ()


class JudgedRows(_Record):
    """Rows of each table, and how many of each were judged at most."""

    training: int
    holdout: int
    synthetic: int
    judged: int


class Finding(_Record):
    """Something found, in words; `part` is a part's name or `quality_score`."""

    verdict: Literal["good", "fair", "poor", "unknown"]
    part: str
    text: str


class Distribution(_Record):
    """How one column is distributed in the real and the synthetic table: shares, each adding up to 1 with `missing`.

    A number's or date's bins have `len(shares) + 1` edges, dates in seconds since 1970; a category's have labels, where
    those seldom seen in the real table are told together.
    """

    column: str
    kind: Literal["number", "date", "category"]
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    real: tuple[float, ...]
    synthetic: tuple[float, ...]
    real_missing: float = 0.0
    synthetic_missing: float = 0.0


class Associations(_Record):
    """How strongly columns hang together, 0 to 1 (or -1 to 1 between numbers): square matrices over `columns`."""

    columns: tuple[str, ...]
    real: tuple[tuple[float | None, ...], ...]
    synthetic: tuple[tuple[float | None, ...], ...]


class Distances(_Record):
    """Distances to the nearest training row, as shares by bin: of synthetic rows and of as many rows never seen."""

    edges: tuple[float, ...]
    synthetic: tuple[float, ...]
    holdout: tuple[float, ...]


class Pictures(_Record):
    """What the page draws."""

    distributions: tuple[Distribution, ...] = ()
    associations: Associations | None = None
    distances: Distances | None = None


class QualityReport(_Record):
    """How faithful, how useful and how private a synthetic table is.

    `quality_score` is None if no part could be measured.
    """

    format: Literal[1] = FORMAT
    quality_score: Figure | None
    parts: tuple[Part, ...]
    rows: JudgedRows
    target_column: str = ""
    target_chosen: bool = False
    sensitive_columns: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    seed: int
    seconds: float
    pictures: Pictures = Pictures()

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Every figure by its name: `quality_score`, `privacy`, `privacy.membership_auc` and so on."""
        return figures_of(self.quality_score, self.parts)


def figures_of(quality_score: Figure | None, parts: Sequence[Part]) -> Iterator[tuple[str, Figure]]:
    """Every figure of some parts by its name, with the score of all of them, if there is one."""
    if quality_score is not None:
        yield QUALITY_SCORE, quality_score
    for part in parts:
        if part.score is not None:
            yield part.name, part.score
        for metric in part.metrics:
            yield f"{part.name}.{metric.name}", metric.figure
