"""The command line of the platform on one machine: serve, migrate, run a command in a service's environment."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from dotenv import load_dotenv

from deploy.local import database
from deploy.local.conductor import PlatformFailed
from deploy.local.credentials import kept_credentials
from deploy.local.home import AlreadyRunning, Home
from deploy.local.log_view import show
from deploy.local.parts import WrongSettings
from deploy.local.platform import LocalPlatform, stop_task
from deploy.local.postgres import PostgresFailed
from deploy.local.services import SERVICES
from deploy.local.settings import LocalSettings
from deploy.local.sockets import DirectoryNotOurs
from deploy.local.supervision import SupervisorFailed
from servicekit.settings import load

app = typer.Typer(
    name="python -m deploy.local",
    help="The whole platform on one machine; without a command, serves until Ctrl-C.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
migrations = typer.Typer(help="Migrations of the services' schemas, whether or not the platform runs.")
app.add_typer(migrations, name="db", no_args_is_help=True)


def _known(service: str) -> str:
    if service and service not in SERVICES:
        raise typer.BadParameter(f"{service!r} is none of: {', '.join(SERVICES)}")
    return service


_NAMES = f"[{'|'.join(SERVICES)}]"
OneService = Annotated[str, typer.Option("--service", help="One service only.", metavar=_NAMES, callback=_known)]


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    logs: Annotated[bool, typer.Option("--logs", help="Show the logs here too.")] = False,
) -> None:
    """Starts everything, and serves until Ctrl-C."""
    if context.invoked_subcommand is None:
        raise SystemExit(asyncio.run(_serve(load(LocalSettings), logs=logs)))


@migrations.command("upgrade")
def upgrade(service: OneService = "", revision: str = "head") -> None:
    """Brings the schemas up to date."""
    with database.reachable_database(load(LocalSettings), os.environ) as base:
        database.upgrade(base, _chosen(service), revision)
        database.show_current(base, _chosen(service))


@migrations.command("downgrade")
def downgrade(service: OneService = "", revision: str = "-1") -> None:
    """Takes the schemas one revision back, or to the one that is named."""
    with database.reachable_database(load(LocalSettings), os.environ) as base:
        database.downgrade(base, _chosen(service), revision)
        database.show_current(base, _chosen(service))


@migrations.command("revision")
def revision(
    service: Annotated[str, typer.Option(metavar=_NAMES, callback=_known)],
    message: Annotated[str, typer.Option(help="What the migration does.")],
) -> None:
    """Writes a new migration of a service from what changed in its models."""
    with database.reachable_database(load(LocalSettings), os.environ) as base:
        database.new_revision(base, service, message)


@migrations.command("history")
def history(service: OneService = "") -> None:
    """Lists the revisions, newest first."""
    with database.reachable_database(load(LocalSettings), os.environ) as base:
        database.show_history(base, _chosen(service))


@migrations.command("current")
def current(service: OneService = "") -> None:
    """Tells which revision each schema is at."""
    with database.reachable_database(load(LocalSettings), os.environ) as base:
        database.show_current(base, _chosen(service))


@migrations.command("reset")
def reset(service: OneService = "", yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Removes everything that is stored, for good: the rows and the objects of all services, or of one."""
    settings = load(LocalSettings)
    if not yes:
        what = ", ".join(_chosen(service))
        typer.confirm(f"Remove all data of {what} in {settings.mirage_home.absolute()} for good?", abort=True)
    database.reset(settings, os.environ, _chosen(service))
    print("Everything is empty, and the schemas are up to date.")


@app.command("exec", context_settings={"ignore_unknown_options": True})
def execute(
    service: Annotated[str, typer.Argument(metavar=_NAMES, callback=_known)],
    command: Annotated[list[str], typer.Argument(help="For example: -- python -m services.auth.admin --help")],
) -> None:
    """Runs a command in the environment of a service: its database, keys and peers."""
    with database.reachable_database(load(LocalSettings), os.environ) as base:
        database.upgrade(base, [service])
        program, *arguments = command
        program = sys.executable if program in {"python", "python3"} else program
        result = subprocess.run([program, *arguments], env=database.environment_of(base, service), check=False)
    raise SystemExit(result.returncode)


@app.command("rotate-keys")
def rotate_keys() -> None:
    """Makes a new signing key, which takes over by itself, whether or not the platform runs."""
    settings = load(LocalSettings)
    keys = kept_credentials(Home(settings.mirage_home).secrets, SERVICES).signing_keys
    environment = {**os.environ, "SIGNING_KEYS_DIR": str(keys)}
    result = subprocess.run([sys.executable, "-m", "services.auth.rotation"], env=environment, check=False)
    raise SystemExit(result.returncode)


@app.command("rotate-audit-keys")
def rotate_audit_keys() -> None:
    """Makes a new key that signs the log, and takes over at once, whether or not the platform runs."""
    settings = load(LocalSettings)
    keys = kept_credentials(Home(settings.mirage_home).secrets, SERVICES).audit_keys
    environment = {**os.environ, "AUDIT_KEYS_DIR": str(keys)}
    command = [sys.executable, "-m", "services.activity.audit_key_rotation"]
    raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)


def main() -> None:
    """Runs the command line; settings come from the environment, and from `.env` where there is one."""
    load_dotenv(Path(".env"))
    try:
        app()
    except WrongSettings as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except (AlreadyRunning, PlatformFailed, PostgresFailed, SupervisorFailed, DirectoryNotOurs) as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


def _chosen(service: str) -> Sequence[str]:
    return [service] if service else SERVICES


async def _serve(settings: LocalSettings, *, logs: bool) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status."""
    _cancel_on_signals()
    began = time.monotonic()
    home = Home(settings.mirage_home)
    _print(f"Starting Mirage on {home.path}")
    try:
        async with AsyncExitStack() as stack:
            if logs:
                viewer = asyncio.create_task(show(home.logs, _print))
                stack.push_async_callback(stop_task, viewer)
            platform = await stack.enter_async_context(LocalPlatform(settings, os.environ, _print))
            stack.callback(_print, "Stopping …")
            _print(_banner(platform, time.monotonic() - began))
            await platform.wait_until_lost()
            _print("The supervisor of Mirage's processes was killed, and they with it. Start again.")
            return 1
    except asyncio.CancelledError:
        _print("Stopped.")
        return 0


def _cancel_on_signals() -> None:
    """Makes SIGINT and SIGTERM cancel the current task, once: further ones change nothing, stopping is on its way."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("called outside a task")
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, cancel)


def _banner(platform: LocalPlatform, seconds: float) -> str:
    lines = {
        "Address": f"{platform.url}   (REST, gRPC, grpc-web)",
        "Docs": f"{platform.url}/docs",
        "Logs": str(platform.home.logs),
        **({"Metrics": f"{platform.home.metrics}   (targets for Prometheus)"} if platform.base.metrics_ports else {}),
        "Data": str(platform.home.data),
        "Stop": "Ctrl-C",
    }
    return "\n".join(
        ["", f"Mirage serves after {seconds:.1f} s.", *(f"  {name:<8} {value}" for name, value in lines.items()), ""]
    )


def _print(line: str) -> None:
    print(line, flush=True)
