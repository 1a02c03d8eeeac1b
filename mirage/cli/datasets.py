"""`mirage datasets …`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType

from mirage.cli import output
from mirage.cli.session import Limit, Session, Yes, command
from mirage.cli.values import assignments
from mirage.errors import NotPossible
from mirage.progress import size

if TYPE_CHECKING:
    from mirage.dataset.v1.profile_pb2 import ColumnProfile
    from mirage.records.dataset import DatasetFields, PersonalDataFinding, Stats

KINDS = {
    "email": "e-mail addresses",
    "phone_number": "phone numbers",
    "full_name": "names of people",
    "first_name": "first names",
    "last_name": "last names",
    "postal_address": "postal addresses",
    "street_address": "street addresses",
    "city": "cities of addresses",
    "postcode": "postcodes of addresses",
    "iban": "bank accounts (IBAN)",
    "card_number": "card numbers",
    "ip_address": "IP addresses",
    "national_id": "national identity numbers",
    "none": "nothing personal",
}
"""Kinds of personal data, as people call them."""

app = typer.Typer(help="Tables that you uploaded.", no_args_is_help=True)

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="The dataset's id or name.", show_default=False)]
Version = Annotated[int, typer.Option("--version", min=0, help="Which version; 0 for the latest.")]


@app.command()
@command
def upload(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV, JSON, JSON lines, XLSX or Parquet file.")],
    name: Annotated[str, typer.Option("--name", help="What to call it; the file's name if absent.")] = "",
    description: Annotated[str, typer.Option("--description", help="What it is.")] = "",
    public: Annotated[bool, typer.Option("--public", help="Let everybody on the platform read it.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait until it can be used.")] = True,
) -> None:
    """Upload a table from a file."""
    dataset = session.client.datasets.upload(
        path,
        name=name,
        description=description,
        visibility="public" if public else "private",
        wait=wait,
        progress=session.progress,
    )
    findings = dataset.stats().personal_data if dataset.state == "ready" else []
    session.output.result(dataset.to_dict(), lambda: _details(dataset, findings))


@app.command("list")
@command
def list_datasets(
    session: Session,
    text: Annotated[str, typer.Option("--text", help="Only those whose name contains it.")] = "",
    state: Annotated[str, typer.Option("--state", help="Only those processing, ready or failed.")] = "",
    public: Annotated[bool, typer.Option("--public", help="Everybody's public ones instead of your own.")] = False,
    limit: Limit = 50,
) -> None:
    """List datasets, the newest first."""
    found = session.client.datasets.list(visibility="public" if public else "", state=state, text=text, limit=limit)
    session.output.result(
        [dataset.to_dict() for dataset in found],
        lambda: output.table(
            ["id", "name", "#rows", "#columns", "state", "uploaded"],
            [
                (
                    dataset.id,
                    dataset.name,
                    f"{dataset.row_count:,}",
                    dataset.column_count,
                    output.state(dataset.state),
                    output.when(dataset.create_time),
                )
                for dataset in found
            ],
            empty="No datasets. `mirage datasets upload FILE` makes one.",
        ),
    )


@app.command()
@command
def show(session: Session, dataset: Dataset) -> None:
    """Show a dataset with its columns."""
    found = session.client.datasets.get(dataset)
    findings = found.stats().personal_data if found.state == "ready" else []
    session.output.result(found.to_dict(), lambda: _details(found, findings))


@app.command()
@command
def stats(session: Session, dataset: Dataset, version: Version = 0) -> None:
    """Show what is known of each column: missing, distinct, mean, range, most frequent."""
    found = session.client.datasets.get(dataset).stats(version)
    session.output.result(found.to_dict(), lambda: _statistics(found))


@app.command()
@command
def rows(session: Session, dataset: Dataset, limit: Limit = 20, version: Version = 0) -> None:
    """Show the first rows."""
    found = session.client.datasets.get(dataset).rows(limit, version)
    headings = list(found[0]) if found else []
    session.output.result(
        found,
        lambda: output.table(headings, [[row.get(name) for name in headings] for row in found], empty="No rows."),
    )


@app.command()
@command
def export(
    session: Session,
    dataset: Dataset,
    to: Annotated[Path, typer.Option("--output", "-o", help="A file, or a directory for it.")] = Path(),
    file_format: Annotated[
        str | None,
        typer.Option("--format", "-f", help="csv, jsonl, json, parquet or xlsx; as --output ends if absent."),
    ] = None,
    version: Version = 0,
) -> None:
    """Write a dataset to a file, types kept."""
    written = session.client.datasets.get(dataset).export(to, file_format, version)
    session.output.result({"path": str(written)}, lambda: f"Wrote {written} ({size(written.stat().st_size)}).")


@app.command()
@command
def update(
    session: Session,
    dataset: Dataset,
    name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="A new description.")] = None,
    visibility: Annotated[str | None, typer.Option("--visibility", help="private or public.")] = None,
    confirm_personal_data: Annotated[
        bool, typer.Option("--confirm-personal-data", help="Publish it although it holds personal data.")
    ] = False,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="COLUMN=TYPE", help="Set a column's type; may be repeated.")
    ] = None,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="COLUMN=ROLE", help="feature, primary_key or target; may be repeated."),
    ] = None,
    personal_data: Annotated[
        list[str] | None,
        typer.Option(
            "--personal-data",
            metavar="COLUMN=KIND",
            help="What a column holds of people, such as email; none for nothing; may be repeated.",
        ),
    ] = None,
    locales: Annotated[
        list[str] | None,
        typer.Option("--locale", metavar="COLUMN=LOCALE", help="Of its personal data, as in de_DE; may be repeated."),
    ] = None,
) -> None:
    """Change a dataset's name, description or visibility, or its columns' types, roles and personal data."""
    try:
        found = session.client.datasets.get(dataset).update(
            name=name,
            description=description,
            visibility=visibility,
            confirm_personal_data=confirm_personal_data,
            types=assignments("--type", types),
            roles=assignments("--role", roles),
            personal_data=assignments("--personal-data", personal_data),
            locales=assignments("--locale", locales),
        )
    except NotPossible as error:
        if error.reason == "PERSONAL_DATA_FOUND":
            error.hint = "`--confirm-personal-data` publishes it; `--personal-data COLUMN=none` corrects what is wrong."
        raise
    findings = found.stats().personal_data if found.state == "ready" else []
    session.output.result(found.to_dict(), lambda: _details(found, findings))


@app.command()
@command
def versions(
    session: Session,
    dataset: Dataset,
    add: Annotated[Path | None, typer.Option("--add", metavar="FILE", help="Upload a new version first.")] = None,
) -> None:
    """List a dataset's versions, the newest first."""
    found = session.client.datasets.get(dataset)
    if add is not None:
        found.add_version(add)
    known = found.versions()
    session.output.result(
        [version.to_dict() for version in known],
        lambda: output.table(
            ["#version", "#rows", "#columns", "state", "uploaded"],
            [
                (
                    version.version,
                    f"{version.row_count:,}",
                    version.column_count,
                    output.state(version.state),
                    output.when(version.create_time),
                )
                for version in known
            ],
        ),
    )


@app.command()
@command
def rm(
    session: Session,
    dataset: Dataset,
    cascade: Annotated[bool, typer.Option("--cascade", help="Delete its jobs, tables and models too.")] = False,
    yes: Yes = False,
) -> None:
    """Delete a dataset."""
    found = session.client.datasets.get(dataset)
    session.confirm(
        f"Delete {found.name} ({found.row_count:,} rows){' and all that hangs on it' if cascade else ''}?", yes
    )
    try:
        gone = found.delete(cascade)
    except NotPossible as error:
        error.hint = "`--cascade` deletes its jobs, tables, models and studies too."
        raise
    named = ", ".join(f"{count} {what}" for what, count in gone.items() if count)
    also = f" with {named}" if named else ""
    session.output.result(
        {"deleted": found.id, **{f"deleted_{what}": count for what, count in gone.items()}},
        lambda: f"Deleted {output.visible(found.name)}{also}.",
    )


def _details(dataset: "DatasetFields", findings: "Sequence[PersonalDataFinding]" = ()) -> RenderableType:
    about = output.facts(
        [
            ("dataset", dataset.name),
            ("id", dataset.id),
            ("description", dataset.description),
            ("state", output.state(dataset.state)),
            ("error", dataset.error),
            ("rows", f"{dataset.row_count:,}"),
            ("file", f"{dataset.source_format}, {size(dataset.source_bytes)}" if dataset.source_format else None),
            ("version", dataset.version),
            ("visibility", dataset.visibility),
            ("uploaded", output.when(dataset.create_time)),
            *(("personal data", _finding(finding)) for finding in findings),
            *(("note", warning) for warning in dataset.warnings),
        ]
    )
    if not dataset.columns:
        return about
    columns = output.table(
        ["column", "type", "role", "missing values"],
        [
            (
                column.name,
                column.type,
                "" if column.role == "feature" else column.role,
                "yes" if column.nullable else "",
            )
            for column in dataset.columns
        ],
    )
    return Group(about, "", columns)


def _finding(finding: "PersonalDataFinding") -> str:
    """For instance `email: e-mail addresses (confidence 0.99)`, or `city: nothing personal (said by its owner)`."""
    called = KINDS.get(finding.kind, finding.kind)
    hundredths = int(finding.confidence * 100)  # not rounded: nothing that is less than sure is shown as 1.00
    said = "said by its owner" if finding.decided_by == "user" else f"confidence {hundredths / 100:.2f}"
    language = f", {finding.locale}" if finding.locale else ""
    return f"{finding.column}: {called} ({said}{language})"


def _statistics(stats: "Stats") -> RenderableType:
    notes = [f"{stats.row_count:,} rows, {stats.duplicate_row_count:,} of them equal to an earlier one."]
    columns = output.table(
        ["column", "type", "missing", "#distinct", "#mean", "#deviation", "smallest", "largest", "most frequent"],
        [_statistics_row(column) for column in stats.columns],
    )
    findings = [output.visible(f"Personal data in {_finding(finding)}") for finding in stats.personal_data]
    return Group(*notes, "", columns, *findings, *(output.visible(f"Note: {warning}") for warning in stats.warnings))


def _statistics_row(column: "ColumnProfile") -> list[str]:
    has_numbers, has_times = column.HasField("numeric"), column.HasField("temporal")
    numbers, times = column.numeric, column.temporal
    top = column.top_values[0] if column.top_values else None
    return [
        column.name,
        column.type,
        output.percent(column.missing_fraction),
        f"{column.distinct_count:,.0f}",
        output.number(numbers.mean) if has_numbers else "",
        output.number(numbers.standard_deviation) if has_numbers else "",
        output.number(numbers.minimum) if has_numbers else times.minimum if has_times else "",
        output.number(numbers.maximum) if has_numbers else times.maximum if has_times else "",
        f"{top.value} ({top.count / column.count:.0%})" if top and column.count else "",
    ]
