"""The comparison as a table for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from mirage.comparison import ColumnSummary, Comparison, Kind
from mirage.records.quality import Figure, QualityReport

LEGEND = (
    "Numbers: mean ± deviation; dates: first – last; categories: the most frequent, its share; in brackets: missing.\n"
    "Score: 1 is the same distribution, 0 nothing in common; numbers and dates by the Kolmogorov-Smirnov statistic, "
    "categories by the total variation distance, missing values aside."
)

QUALITY_LEGEND = (
    "1 is best; in brackets the 95 % interval; ceiling: the same figure for real rows that no model has seen.\n"
    "Privacy and usefulness are measured against those rows, a tenth of the table, which are kept from training."
)

GOOD, FAIR = 0.85, 0.7


def comparison_table(comparisons: Mapping[str, Comparison]) -> Table:
    """Returns a row for each column: what the real table has, what each synthetic one has, and how near they are.

    Args:
        comparisons: by the name of what made the synthetic table; each with the same real one.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("column", no_wrap=True)
    table.add_column("real", justify="right")
    for name in comparisons:
        table.add_column(name, justify="right")
        table.add_column("score", justify="right")
    for columns in zip(*comparisons.values(), strict=True):
        table.add_row(
            columns[0].name,
            _describe(columns[0].kind, columns[0].real),
            *(cell for column in columns for cell in (_describe(column.kind, column.synthetic), _score(column.score))),
        )
    table.add_section()
    table.add_row("all, mean", "", *(cell for each in comparisons.values() for cell in ("", _score(each.score))))
    return table


def quality_table(reports: Mapping[str, QualityReport]) -> Table:
    """Returns a row for each part of the quality: what each table reached, and what could be reached.

    Args:
        reports: by the name of what made the table.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for name in reports:
        table.add_column(name, justify="right")
        table.add_column("ceiling", justify="right")
    parts = dict.fromkeys(name for report in reports.values() for name in report.parts)
    for part in parts:
        told = [report.parts[part].score for report in reports.values()]
        table.add_row(part.replace("_", " "), *(cell for figure in told for cell in _figure(figure)))
    table.add_section()
    told = [report.score for report in reports.values()]
    table.add_row("quality score", *(cell for figure in told for cell in _figure(figure)))
    return table


def _figure(figure: Figure | None) -> tuple[str, str]:
    if figure is None:
        return "not measured", ""
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.3f}{interval}", "" if figure.ceiling is None else f"{figure.ceiling:.3f}"


def _describe(kind: Kind, summary: ColumnSummary) -> str:
    if kind == "number" and summary.mean is not None:
        text = f"{summary.mean:,.1f} ± {summary.deviation or 0:,.1f}"
    elif kind == "time" and summary.minimum is not None:
        text = f"{summary.minimum} – {summary.maximum}"
    elif kind == "category" and summary.most_frequent is not None:
        text = f"{_value(summary.most_frequent)} {summary.most_frequent_share:.0%}"
    else:
        text = f"{summary.distinct:,}"
    return f"{text} ({summary.missing:.1%})" if summary.missing else text


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _score(score: float | None) -> Text:
    if score is None:
        return Text("–", style="dim")
    return Text(f"{score:.2f}", style="green" if score >= GOOD else "yellow" if score >= FAIR else "red")
