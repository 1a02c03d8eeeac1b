"""The quality report as one HTML page that needs nothing from elsewhere: no script, no font, no picture."""

from collections.abc import Iterator, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from services.generation.quality.page import plots, words
from services.generation.quality.page.facts import Facts
from services.generation.quality.report import Detail, Figure, Metric, PartName, QualityReport
from services.generation.quality.titles import PART_TITLES, metric_title

# Details of a metric that are told; of more than these, the worst.
_MOST_DETAILS = 30


def render(report: QualityReport, facts: Facts) -> Iterator[str]:
    """The page, piece by piece as its pictures are drawn. Whatever names a table has, they stay text."""
    environment = Environment(
        loader=PackageLoader(__name__.rpartition(".")[0], "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        number=words.number,
        interval=words.interval,
        count=words.count,
        metric_title=metric_title,
        worst=worst,
        distribution=lambda shown, index: Markup(plots.distribution(shown, f"column{index}")),  # noqa: S704 - drawn here
        distances=lambda shown: Markup(plots.distances(shown, "distances")),  # noqa: S704
        matrices=lambda shown: Markup(plots.matrices(shown, "associations")),  # noqa: S704
    )
    template = environment.get_template("page.html.j2")
    yield from template.generate(
        report=report,
        facts=facts,
        parts=[part for part in report.parts if part.name != PartName.PRIVACY]
        + [part for part in report.parts if part.name == PartName.PRIVACY],
        titles=PART_TITLES,
        questions=words.PART_QUESTIONS,
        verdicts=words.VERDICTS,
        scores=_column_scores(report),
        verdict_of={finding.part: finding.verdict for finding in reversed(report.findings)},
        largest_matrix=plots.LARGEST_MATRIX,
    )


def worst(metric: Metric) -> tuple[Detail, ...]:
    """A metric's details, the worst first, and no more than can be read."""
    ranked = sorted(metric.details, key=lambda detail: detail.figure.value, reverse=not metric.higher_is_better)
    return tuple(ranked[:_MOST_DETAILS])


def _column_scores(report: QualityReport) -> Mapping[str, Figure]:
    """How alike each column's values are, by column."""
    similarity = next((part for part in report.parts if part.name == PartName.STATISTICAL_SIMILARITY), None)
    if similarity is None:
        return {}
    alike = [metric for metric in similarity.metrics if metric.name in {"ks_complement", "total_variation_complement"}]
    return {detail.columns[0]: detail.figure for metric in alike for detail in metric.details}
