"""`mirage quality` and `evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from mirage.cli import output
from mirage.cli.jobs import Job, find
from mirage.cli.session import Session, command
from mirage.errors import InvalidRequest
from mirage.tables import FORMATS

if TYPE_CHECKING:
    from mirage.records.quality import Figure, QualityReport

# What is called so is meant as a file.
_ENDINGS = {*(f".{each}" for each in FORMATS), ".ndjson", ".gz", ".zst"}
_VERDICTS = {"good": "green", "fair": "yellow", "poor": "red", "unknown": "dim"}


def add_to(main: typer.Typer) -> None:
    """Adds the commands."""
    main.command(rich_help_panel="Generation")(command(quality))
    main.command(rich_help_panel="Generation")(command(evaluate))


def quality(
    session: Session,
    job: Job,
    details: Annotated[bool, typer.Option("--details", help="Every metric, not the parts alone.")] = False,
) -> None:
    """Show how faithful, how useful and how private the table of a job is."""
    report = find(session.client, job).quality()
    session.output.result(report.to_dict(), lambda: _report(report, details))


def evaluate(
    session: Session,
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="The real table: a dataset's id or name.", show_default=False)
    ],
    table: Annotated[
        str,
        typer.Option("--table", "-t", metavar="TABLE", help="The synthetic one: a file, or a dataset's id or name."),
    ] = "",
    job: Annotated[str, typer.Option("--job", help="Instead of --table: the table of a job.")] = "",
    holdout: Annotated[
        str, typer.Option("--holdout", metavar="TABLE", help="Real rows that nobody has learned: likewise.")
    ] = "",
    target: Annotated[str, typer.Option("--target", help="The column that a model would predict.")] = "",
    sensitive: Annotated[
        list[str] | None, typer.Option("--sensitive", help="A column that an attacker would like to know; repeatable.")
    ] = None,
    column: Annotated[list[str] | None, typer.Option("--column", help="Only this column; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Governs every random choice; 0 if absent.")] = None,
    details: Annotated[bool, typer.Option("--details", help="Every metric, not the parts alone.")] = False,
) -> None:
    """Judge any table against a dataset; a file is uploaded for as long as it takes."""
    if bool(table) == bool(job):
        raise InvalidRequest("Give --table or --job: one of the two says what to judge.", reason="INVALID_OPTION")
    client = session.client
    report = client.evaluate(
        dataset,
        find(client, job) if job else _table(table),
        holdout=_table(holdout) if holdout else None,
        target_column=target,
        sensitive_columns=sensitive or (),
        columns=column or (),
        seed=seed,
        progress=session.progress,
    )
    session.output.result(report.to_dict(), lambda: _report(report, details))


def _table(name: str) -> str | Path:
    """A file where there is one of this name, else a dataset's id or name."""
    path = Path(name).expanduser()
    if not path.is_file() and ("/" in name or path.suffix.lower() in _ENDINGS):
        raise InvalidRequest(f"There is no file {name}.", reason="NO_SUCH_FILE", hint="A dataset goes by id or name.")
    return path if path.is_file() else name


def _report(report: "QualityReport", details: bool) -> RenderableType:
    verdicts = {finding.part: finding.verdict for finding in reversed(report.findings)}
    rows = [("quality_score", report.score, "", ""), *_parts(report, details)]
    drawn = output.table(
        ["", "#value", "#95 % interval", "#ceiling", "#weight", "verdict"],
        [
            (name, *_figure(figure), weight, _verdict(reason, verdicts.get(name, "")))
            for name, figure, weight, reason in rows
        ],
    )
    told = report.rows
    judged = f"{told.synthetic:,} synthetic rows against {told.training:,} real ones"
    never_seen = f" and {told.holdout:,} that the model has never seen" if told.holdout else ""
    lines = [
        Text(f"{judged}{never_seen}."),
        *(Text(output.visible(f"{finding.verdict}: {finding.text}")) for finding in report.findings),
        *(Text(output.visible(note), style="dim") for note in report.notes),
    ]
    return Group(drawn, Text(), *lines)


def _parts(report: "QualityReport", details: bool) -> "list[tuple[str, Figure | None, str, str]]":
    rows: list[tuple[str, Figure | None, str, str]] = []
    for name, part in report.parts.items():
        rows.append((name, part.score, f"{part.weight:.0%}", part.reason))
        if details:
            rows += [(f"  {metric.name}", metric.figure, "", "") for metric in part.metrics]
    return rows


def _figure(figure: "Figure | None") -> tuple[str, str, str]:
    if figure is None:
        return "-", "", ""
    low, high, ceiling = figure.low, figure.high, figure.ceiling
    interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return f"{figure.value:.3f}", interval, "" if ceiling is None else f"{ceiling:.3f}"


def _verdict(reason: str, verdict: str) -> Text:
    return Text(output.visible(reason or verdict), style=_VERDICTS.get(verdict, ""))
