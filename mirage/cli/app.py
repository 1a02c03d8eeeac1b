"""The command line as a whole: every command, and what happens when one fails."""

import os
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from mirage import __version__
from mirage.cli import (
    account,
    admin,
    api_keys,
    datasets,
    exit_codes,
    health,
    jobs,
    models,
    notifications,
    own_data,
    provenance,
    quality,
    stats,
    studies,
)
from mirage.cli.output import report
from mirage.cli.session import CaFile, Url
from mirage.errors import MirageError

DEBUG_VARIABLE = "MIRAGE_DEBUG"

app = typer.Typer(
    name="mirage",
    help="Synthetic tables that have the statistics of real ones and none of their people.",
    epilog=exit_codes.EXPLANATION,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
account.add_to(app)
app.add_typer(own_data.app, name="account", rich_help_panel="Account")
app.add_typer(api_keys.app, name="api-keys", rich_help_panel="Account")
app.add_typer(notifications.app, name="notifications", rich_help_panel="Account")
app.add_typer(datasets.app, name="datasets", rich_help_panel="Generation")
jobs.add_to(app)
quality.add_to(app)
app.add_typer(jobs.app, name="jobs", rich_help_panel="Generation")
studies.add_to(app)
app.add_typer(studies.app, name="studies", rich_help_panel="Generation")
app.add_typer(models.app, name="models", rich_help_panel="Generation")
models.add_to(app)
provenance.add_to(app)
app.add_typer(provenance.app, name="audit", rich_help_panel="Administration")
app.add_typer(admin.app, name="admin", rich_help_panel="Administration")
health.add_to(app)
stats.add_to(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"mirage {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    url: Url = None,
    ca_file: CaFile = None,
    version: Annotated[  # noqa: ARG001 -- its callback answers
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Synthetic tables that have the statistics of real ones and none of their people."""
    context.obj = {"url": url, "ca_file": ca_file}


def run(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code; whatever happens, nobody gets to see a trace."""
    as_json = "--json" in arguments
    try:
        app(list(arguments))
    except SystemExit as ended:
        return (
            ended.code if isinstance(ended.code, int) else exit_codes.OK if ended.code is None else exit_codes.FAILURE
        )
    except MirageError as error:
        report(error, as_json)
        return exit_codes.exit_code(error)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except OSError as error:
        report(MirageError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."), as_json)
        return exit_codes.FAILURE
    except Exception as error:  # the last stop before the user
        return _surprise(error, as_json)
    return exit_codes.OK


def _surprise(error: Exception, as_json: bool) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()
    else:
        hint = f"That is a fault of this program. {DEBUG_VARIABLE}=1 shows where it happened."
        report(MirageError(f"{type(error).__name__}: {error}", hint=hint), as_json)
    return exit_codes.FAILURE
