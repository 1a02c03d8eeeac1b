"""`mirage generate`, `jobs …`, `download` and `report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mirage.cli import exit_codes, output
from mirage.cli.session import Limit, Session, Yes, command
from mirage.cli.values import parsed
from mirage.cli.waiting import when_ready
from mirage.errors import InvalidRequest, NotFound
from mirage.progress import duration, size

if TYPE_CHECKING:
    from mirage.plain.client import Client
    from mirage.plain.jobs import Job as PlainJob
    from mirage.records.generation import JobFields, Validation

app = typer.Typer(help="Models in training, and the tables they made.", no_args_is_help=True)

Job = Annotated[
    str, typer.Argument(metavar="JOB", help="The job's id, or `latest` for the newest.", show_default=False)
]
Output = Annotated[Path, typer.Option("--output", "-o", help="A file, or a directory for it.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", "-f", help="csv, jsonl, json, parquet, xlsx, or zip; as --output ends, or the job's own, if absent."
    ),
]


def add_to(main: typer.Typer) -> None:
    """Adds the commands that stand alone."""
    main.command(rich_help_panel="Generation")(command(generate))
    main.command(rich_help_panel="Generation")(command(download))
    main.command(rich_help_panel="Generation")(command(report))


def generate(
    session: Session,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The dataset's id or name.", show_default=False)],
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="autoregressive, ctgan, tvae, gaussian_copula or copulagan; see `mirage config`."
        ),
    ] = "ctgan",
    engine: Annotated[
        str, typer.Option("--engine", help="What trains: sdv or mirage; chosen by the model if absent.")
    ] = "",
    rows: Annotated[
        int | None, typer.Option("--rows", "-n", help="Rows to draw; the platform's default if absent.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Times the model sees the table.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of the model; may be repeated."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Governs every random choice; drawn if absent.")] = None,
    column: Annotated[list[str] | None, typer.Option("--column", help="Only this column; may be repeated.")] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", metavar="COLUMN=VALUE", help="A value that every row must have; may be repeated."),
    ] = None,
    primary_key: Annotated[str, typer.Option("--primary-key", help="The column whose values are unique.")] = "",
    target: Annotated[str, typer.Option("--target", help="The column that a model would predict.")] = "",
    holdout: Annotated[
        float | None,
        typer.Option(
            "--holdout-fraction", help="Share of rows kept from training to judge by, 0 to 0.5; 0.1 if absent."
        ),
    ] = None,
    optimize: Annotated[
        int | None,
        typer.Option("--optimize", metavar="TRIALS", help="Search for the best parameters first, by so many trials."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What to call the job.")] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show progress until it ends.")] = False,
    to: Annotated[
        Path | None, typer.Option("--output", "-o", help="Wait, and write the table to this file or directory.")
    ] = None,
    file_format: Format = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check it and estimate time and memory; start nothing.")
    ] = False,
) -> None:
    """Train a model on a dataset and draw rows from it."""
    options: dict[str, Any] = {
        "model": model,
        "engine": engine,
        "rows": rows,
        "seed": seed,
        "name": name,
        "columns": column or (),
        "conditions": parsed("--condition", condition),
        "primary_key": primary_key,
        "target_column": target,
        "holdout_fraction": holdout,
        "optimization": None if optimize is None else {"enabled": True, "n_trials": optimize},
        **({} if epochs is None else {"epochs": epochs}),
        **_parameters(param, epochs),
    }
    client = session.client
    if dry_run:
        _show_validation(session, client.validate(dataset, **options))
        return
    job = client.generate(dataset, **options, wait=False)
    if not (watch or to):
        for adjustment in job.adjustments:
            session.output.note(adjustment)
        session.output.result(job.to_dict(), lambda: f"Started {job.id}.\nWatch it: mirage jobs watch {job.id}")
        return
    job = _wait(session, job)
    written = job.download(to, file_format) if to else None
    shown = job.to_dict() | ({"path": str(written)} if written else {})
    session.output.result(shown, lambda: _ended(job, written))


def download(session: Session, job: Job, to: Output = Path(), file_format: Format = None) -> None:
    """Write the table of a job to a file."""
    written = find(session.client, job).download(to, file_format)
    session.output.result({"path": str(written)}, lambda: f"Wrote {written} ({size(written.stat().st_size)}).")


def report(
    session: Session,
    job: Job,
    to: Annotated[Path, typer.Option("--output", "-o", help="A file, or a directory for it.")] = Path(),
    open_it: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
) -> None:
    """Write how good the table of a job is: one HTML page, with pictures, that needs nothing from elsewhere."""
    written = find(session.client, job).report(to)
    session.output.result({"path": str(written)}, lambda: f"Wrote {written} ({size(written.stat().st_size)}).")
    if open_it and typer.launch(written.absolute().as_uri()):
        session.output.note(f"There is no browser to open it in; open {written.absolute()} yourself.")


@app.command("list")
@command
def list_jobs(
    session: Session,
    state: Annotated[str, typer.Option("--state", help="Only those in this state, such as training.")] = "",
    dataset: Annotated[str, typer.Option("--dataset", help="Only those that learn this dataset (id or name).")] = "",
    limit: Limit = 20,
) -> None:
    """List jobs, the newest first."""
    client = session.client
    dataset_id = client.datasets.get(dataset).id if dataset else ""
    found = client.jobs.list(state=state, dataset_id=dataset_id, limit=limit)
    session.output.result(
        [job.to_dict() for job in found],
        lambda: jobs_table(found, empty="No jobs. `mirage generate DATASET` starts one."),
    )


@app.command()
@command
def show(session: Session, job: Job) -> None:
    """Show where a job stands."""
    found = find(session.client, job)
    session.output.result(found.to_dict(), lambda: _details(found))


@app.command()
@command
def watch(session: Session, job: Job) -> None:
    """Show progress until the job ends. Ctrl-C stops the watching, not the job. With --json: one event a line."""
    found = when_ready(lambda: find(session.client, job))
    if session.output.as_json:
        for event in found.watch():
            session.output.event(event.to_dict())
        found.settle()
        return
    ended = _wait(session, found)
    session.output.result(ended.to_dict(), lambda: _ended(ended, None))


@app.command()
@command
def cancel(session: Session, job: Job) -> None:
    """Cancel a job."""
    found = find(session.client, job).cancel()
    session.output.result(found.to_dict(), lambda: f"{found.id} is {found.state.replace('_', ' ')}.")


@app.command()
@command
def rm(session: Session, job: Job, yes: Yes = False) -> None:
    """Delete a job that has ended, with its table; its model stays."""
    found = find(session.client, job)
    session.confirm(f"Delete {found.name} ({found.state}) with its table?", yes)
    found.delete()
    session.output.result({"deleted": found.id}, lambda: f"Deleted {output.visible(found.name)}.")


def jobs_table(jobs: "list[PlainJob]", *, empty: str, with_owner: bool = False) -> RenderableType:
    """Returns jobs as a table."""
    owner = ["owner"] if with_owner else []
    return output.table(
        ["id", *owner, "name", "model", "#rows", "state", "#done", "started"],
        [
            (
                job.id,
                *([job.owner_id] if with_owner else []),
                job.name,
                job.model_type,
                f"{job.rows:,}",
                output.state(job.state),
                f"{job.progress:.0%}",
                output.when(job.create_time),
            )
            for job in jobs
        ],
        empty=empty,
    )


def find(client: "Client", job: str) -> "PlainJob":
    """Returns a job by its id, or the latest."""
    if job != "latest":
        return client.jobs.get(job)
    newest = client.jobs.list(limit=1)
    if not newest:
        raise NotFound("You have no jobs.", hint="`mirage generate DATASET` starts one.")
    return newest[0]


def _wait(session: Session, job: "PlainJob") -> "PlainJob":
    try:
        return job.wait(session.progress)
    except KeyboardInterrupt:
        session.output.note(
            f"\nNobody watches any more; the job goes on.\n"
            f"Watch again: mirage jobs watch {job.id}\nCancel it:   mirage jobs cancel {job.id}"
        )
        raise typer.Exit(exit_codes.INTERRUPTED) from None


def _parameters(given: list[str] | None, epochs: int | None) -> dict[str, Any]:
    parameters = parsed("--param", given)
    if epochs is not None and "epochs" in parameters:
        raise InvalidRequest("--param: epochs is given by --epochs already.", reason="INVALID_OPTION")
    return parameters


def _ended(job: "JobFields", written: Path | None) -> str:
    took = f" in {duration((job.end_time - job.start_time).total_seconds())}" if job.end_time and job.start_time else ""
    made = f"Made {job.rows:,} rows{took}."
    if job.quality_score is not None:
        made += f" Their quality is {job.quality_score:.3f} of 1: mirage quality {job.id}"
    return (
        f"{made}\nWrote {written} ({size(written.stat().st_size)})."
        if written
        else f"{made}\nFetch them: mirage download {job.id}"
    )


def _details(job: "JobFields") -> RenderableType:
    return output.facts(
        [
            ("job", job.name),
            ("id", job.id),
            ("state", output.state(job.state)),
            ("error", job.error),
            ("review", _review(job)),
            ("stage", job.stage),
            ("attempts", f"{job.attempts}: a worker was lost, or stopped" if job.attempts > 1 else None),
            ("done", f"{job.progress:.0%}"),
            ("left", duration(job.seconds_left) if job.seconds_left is not None else None),
            ("epoch", f"{job.epoch} of {job.epochs}" if job.epochs else None),
            ("losses", ", ".join(f"{name} {value:.4g}" for name, value in sorted(job.losses.items()))),
            ("dataset", job.dataset_id),
            ("model", f"{job.model_type} {job.model_id}".strip()),
            (
                "parameters",
                ", ".join(f"{name}={value}" for name, value in job.parameters.items() if name != "model_type"),
            ),
            *(("adjusted", adjustment) for adjustment in job.adjustments),
            ("invented", _invented(job.invented_columns)),
            ("rows", f"{job.rows:,}"),
            ("quality", job.quality_problem if job.quality_score is None else f"{job.quality_score:.3f} of 1"),
            ("study", job.study_id),
            ("seed", job.seed),
            ("started", output.when(job.create_time)),
            ("ended", output.when(job.end_time) if job.end_time else None),
        ]
    )


def _review(job: "JobFields") -> str | None:
    """What an administrator has said to it."""
    if job.review is None:
        return None
    word = "approved" if job.review.approved else "rejected"
    return f"{word}: {job.review.reason}" if job.review.reason else word


def _invented(columns: dict[str, str]) -> str | None:
    """Columns of personal data with their kinds, which no model learns."""
    return ", ".join(f"{name} ({kind})" for name, kind in columns.items()) or None


def _show_validation(session: Session, validation: "Validation") -> None:
    def render() -> RenderableType:
        if not validation.valid:
            return output.table(
                ["field", "fault"], [(wrong.field, wrong.description) for wrong in validation.violations]
            )
        seconds, memory_mb = validation.estimated_seconds, validation.estimated_memory_mb
        return output.facts(
            [
                ("request", "would be accepted"),
                ("time", f"about {duration(seconds)}" if seconds is not None else None),
                ("memory", f"about {memory_mb:,.0f} MiB" if memory_mb is not None else None),
                ("parameters", ", ".join(f"{name}={value}" for name, value in validation.parameters.items())),
                *(("adjusted", adjustment) for adjustment in validation.adjustments),
                (
                    "invented",
                    ", ".join(f"{name} ({kind})" for name, kind in validation.invented_columns.items()) or None,
                ),
            ]
        )

    session.output.result(validation.to_dict(), render)
    if not validation.valid:
        raise typer.Exit(exit_codes.USAGE)
