"""Fits models and draws rows: `fit`, `sample` and `show`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import click
import torch
import typer
from rich.console import Console

import mirage_engine
from mirage_engine import files
from mirage_engine.autoregressive.model import AutoregressiveModel
from mirage_engine.autoregressive.settings import AutoregressiveSettings
from mirage_engine.codec import CodecSettings
from mirage_engine.conditions import parsed, resolve
from mirage_engine.errors import Cancelled, ConditionsRefused, EngineError, TableRefused
from mirage_engine.gaussian_copula.settings import GaussianCopulaSettings
from mirage_engine.interrupts import interruptible
from mirage_engine.models import Model
from mirage_engine.progress_bar import fitting_bar, sampling_bar

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Mirage's own models of tables.")
_messages = Console(stderr=True, highlight=False)

REFUSED, INTERRUPTED = 2, 130
Table = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=f"A table: {', '.join(files.SUFFIXES)}.")]
ModelFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A model that `fit` wrote.")]
Threads = Annotated[int | None, typer.Option(min=1, help="How many threads compute. Rows are the same with any.")]


class ModelChoice(StrEnum):
    """The kinds of models."""

    AUTOREGRESSIVE = "autoregressive"
    GAUSSIAN_COPULA = "gaussian_copula"


class RareLevelsChoice(StrEnum):
    """What becomes of categories that few rows have."""

    MERGE = "merge"
    REDACT = "redact"
    KEEP = "keep"


@app.command()
def fit(
    table: Table,
    out: Annotated[Path, typer.Option(help="Where to write the model.")],
    model: Annotated[
        ModelChoice, typer.Option(help="autoregressive is the closest; gaussian_copula takes seconds.")
    ] = ModelChoice.AUTOREGRESSIVE,
    seed: Annotated[int, typer.Option(help="Governs all that is left to chance.")] = 0,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Epochs at the most ({AutoregressiveSettings.epochs} if absent): training stops by itself."
        ),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A column to leave out; can be given again.")] = None,
    identifier: Annotated[
        list[str] | None, typer.Option(help="A column to fill with new identifiers; can be given again.")
    ] = None,
    rare_rows: Annotated[int, typer.Option(min=1, help="Categories in fewer rows than this are protected.")] = (
        CodecSettings.rare_rows
    ),
    rare_levels: Annotated[
        RareLevelsChoice, typer.Option(help="How: merged into the others, a label in their place, or not at all.")
    ] = RareLevelsChoice.MERGE,
    checkpoint: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Keeps the state here, and goes on from it if it is there.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Fits a model to a table."""
    if model == ModelChoice.GAUSSIAN_COPULA and (epochs is not None or checkpoint is not None):
        raise click.UsageError("a gaussian_copula is fitted at once: it takes neither --epochs nor --checkpoint")
    if threads is not None:
        torch.set_num_threads(threads)
    codec = CodecSettings(
        exclude=tuple(exclude or ()),
        identifiers=tuple(identifier or ()),
        rare_rows=rare_rows,
        rare_levels=rare_levels.value,
    )
    source = files.read_table(table)
    with fitting_bar(_messages) as bar, interruptible(bar) as listener:
        if model == ModelChoice.GAUSSIAN_COPULA:
            fitted: Model = mirage_engine.fit(source, GaussianCopulaSettings(), codec, seed=seed, listener=listener)
        else:
            settings = AutoregressiveSettings(epochs=epochs or AutoregressiveSettings.epochs)
            fitted = mirage_engine.fit(source, settings, codec, seed=seed, listener=listener, checkpoint=checkpoint)
    fitted.save(out)
    _messages.print(f"{out}: learnt from {source.num_rows:,} rows{_told_of_epochs(fitted)}.", soft_wrap=True)


def _told_of_epochs(model: Model) -> str:
    return f"; epoch {model.record.best_epoch} was best" if isinstance(model, AutoregressiveModel) else ""


@app.command()
def sample(
    model: ModelFile,
    rows: Annotated[int, typer.Option(min=0, help="How many rows.")],
    out: Annotated[Path, typer.Option(help=f"Where to write them: {', '.join(files.SUFFIXES)}.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 0,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="COLUMN=VALUE, COLUMN=LOW..HIGH, COLUMN=ONE|OTHER, or COLUMN= for missing; can be given again."
        ),
    ] = None,
    first_row: Annotated[int, typer.Option(min=0, help="Number of the first row, for rows made in parts.")] = 0,
    threads: Threads = None,
) -> None:
    """Draws rows from a model."""
    files.check_suffix(out)
    fitted = mirage_engine.load(model)
    conditions = parsed(fitted.codec, where or ())
    resolve(fitted.codec, conditions)  # tells what is wrong before a bar is shown
    with sampling_bar(_messages, rows) as listener:
        batches = fitted.sample(rows, seed, conditions, first_row=first_row, threads=threads, listener=listener)
        written = files.write_batches(out, fitted.schema, batches)
    _messages.print(f"{out}: {written:,} rows", soft_wrap=True)


@app.command()
def show(model: ModelFile) -> None:
    """Prints where a model comes from, as JSON."""
    fitted = mirage_engine.load(model)
    typer.echo(json.dumps({"columns": fitted.schema.names, **asdict(fitted.record)}, indent=2))


def run(arguments: Sequence[str]) -> int:
    """Runs a command and gives its exit status: 0, 2 if something is refused, 130 if it was interrupted."""
    try:
        app(list(arguments), standalone_mode=False)
    except (TableRefused, ConditionsRefused) as error:
        for name, problem in error.problems.items():
            _messages.print(f"[red]{name}[/red]: {problem}")
        return REFUSED
    except (EngineError, ValueError) as error:
        _messages.print(f"[red]{error}[/red]")
        return REFUSED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (Cancelled, KeyboardInterrupt, click.Abort):
        _messages.print("Interrupted. With --checkpoint the same command goes on from where it was.")
        return INTERRUPTED
    return 0
