"""`mirage models …` and `config`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from google.protobuf import json_format
from rich.console import Group, RenderableType

from mirage.cli import output
from mirage.cli.session import Limit, Session, Yes, command
from mirage.cli.values import parsed
from mirage.errors import NotFound
from mirage.progress import duration, size
from mirage.records.base import from_struct, from_value

if TYPE_CHECKING:
    from mirage.generation.v1.job_pb2 import ModelType, Parameter
    from mirage.records.generation import Configuration, ModelFields

app = typer.Typer(help="Fitted models: they give more rows without training again.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model's id.", show_default=False)]


def add_to(main: typer.Typer) -> None:
    """Adds the commands that stand alone."""
    main.command(rich_help_panel="Generation")(command(config))


@app.command("list")
@command
def list_models(
    session: Session,
    dataset: Annotated[str, typer.Option("--dataset", help="Only those fitted on this dataset (id or name).")] = "",
    limit: Limit = 20,
) -> None:
    """List models, the newest first."""
    client = session.client
    dataset_id = client.datasets.get(dataset).id if dataset else ""
    found = client.models.list(dataset_id=dataset_id, limit=limit)
    session.output.result(
        [model.to_dict() for model in found],
        lambda: output.table(
            ["id", "name", "model", "#trained on", "#took", "fitted"],
            [
                (
                    model.id,
                    model.name,
                    model.model_type,
                    f"{model.training_row_count:,} rows",
                    duration(model.training_seconds),
                    output.when(model.create_time),
                )
                for model in found
            ],
            empty="No models. `mirage generate DATASET` fits one.",
        ),
    )


@app.command()
@command
def show(session: Session, model: Model) -> None:
    """Show a model."""
    found = session.client.models.get(model)
    session.output.result(found.to_dict(), lambda: _details(found))


@app.command()
@command
def sample(
    session: Session,
    model: Model,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many rows.")] = 1000,
    seed: Annotated[int | None, typer.Option("--seed", help="Governs every random choice; drawn if absent.")] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", metavar="COLUMN=VALUE", help="A value that every row must have; may be repeated."),
    ] = None,
    to: Annotated[Path, typer.Option("--output", "-o", help="A file, or a directory for it.")] = Path(),
    file_format: Annotated[
        str | None, typer.Option("--format", "-f", help="csv, jsonl or parquet; as --output ends, or csv, if absent.")
    ] = None,
) -> None:
    """Draw rows from a model, without training."""
    drawn = session.client.models.get(model).sample(rows, seed, parsed("--condition", condition))
    written = drawn.download(to, file_format)
    session.output.result(
        {"path": str(written), "rows": rows, "seed": drawn.seed},
        lambda: (
            f"Wrote {written} ({rows:,} rows, {size(written.stat().st_size)}); the same again with --seed {drawn.seed}."
        ),
    )


@app.command()
@command
def rm(session: Session, model: Model, yes: Yes = False) -> None:
    """Delete a model; the table of its job stays."""
    found = session.client.models.get(model)
    session.confirm(f"Delete the {found.model_type} {found.name}?", yes)
    found.delete()
    session.output.result({"deleted": found.id}, lambda: f"Deleted {output.visible(found.name)}.")


def config(
    session: Session,
    model: Annotated[str | None, typer.Argument(help="A model type, for its parameters.", show_default=False)] = None,
) -> None:
    """Show the model types, their parameters and the platform's limits."""
    found = session.client.configuration()
    if model is None:
        session.output.result(found.to_dict(), lambda: _overview(found))
        return
    types = {each.name: each for each in found.model_types}
    if model not in types:
        raise NotFound(f"There is no model type {model!r}; there are {', '.join(types)}.", reason="UNKNOWN_MODEL_TYPE")
    chosen = types[model]
    session.output.result(
        json_format.MessageToDict(chosen, preserving_proto_field_name=True), lambda: _parameters(chosen)
    )


def _details(model: "ModelFields") -> RenderableType:
    return output.facts(
        [
            ("model", model.name),
            ("id", model.id),
            ("type", model.model_type),
            (
                "parameters",
                ", ".join(f"{name}={value}" for name, value in model.parameters.items() if name != "model_type"),
            ),
            ("seed", model.seed),
            ("trained on", f"{model.training_row_count:,} rows of {model.dataset_id}"),
            ("took", duration(model.training_seconds)),
            ("job", model.job_id),
            ("size", size(model.size_bytes)),
            ("columns", ", ".join(model.columns)),
            ("fitted", output.when(model.create_time)),
        ]
    )


def _overview(configuration: "Configuration") -> RenderableType:
    models = output.table(
        ["model", "engines", "what it is"],
        [(each.name, ", ".join(each.engines), each.description) for each in configuration.model_types],
    )
    limits = configuration.proto
    rows = f"{limits.minimum_sample_size:,} to {limits.maximum_sample_size:,}"
    about = output.facts(
        [
            ("rows", f"{rows}, {limits.default_sample_size:,} if not said"),
            ("formats", ", ".join(configuration.output_formats)),
            ("running at once", limits.maximum_concurrent_jobs),
        ]
    )
    return Group(models, "", about, "", "Parameters of a model: mirage config MODEL")


def _parameters(model: "ModelType") -> RenderableType:
    parameters = output.table(
        ["parameter", "type", "default", "range", "what it does"],
        [(each.name, each.type, _default(each), _range(each), each.description) for each in model.parameters],
    )
    advice = [
        output.facts(
            [
                (
                    f"up to {each.up_to_rows:,} rows" if each.up_to_rows else "more rows",
                    ", ".join(f"{name}={value}" for name, value in from_struct(each.parameters).items()),
                )
                for each in model.recommendations
            ]
        )
    ]
    return Group(
        output.visible(model.description),
        "",
        parameters,
        *(["", "Recommended", *advice] if model.recommendations else []),
    )


def _default(parameter: "Parameter") -> str:
    value = from_value(parameter.default)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _range(parameter: "Parameter") -> str:
    if parameter.choices:
        return ", ".join(parameter.choices)
    low = f"{parameter.minimum:g}" if parameter.HasField("minimum") else ""
    high = f"{parameter.maximum:g}" if parameter.HasField("maximum") else ""
    return f"{low} – {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else ""
