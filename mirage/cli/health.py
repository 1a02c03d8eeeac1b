"""`mirage health`."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType

from mirage.cli import exit_codes, output
from mirage.cli.session import Session, command
from mirage.records.health import PartHealth, PlatformHealth, ServiceHealth


def add_to(app: typer.Typer) -> None:
    """Adds the command to the whole."""
    app.command(rich_help_panel="Administration")(health)


@command
def health(
    session: Session,
    detailed: Annotated[bool, typer.Option("--detailed", help="Part by part, for administrators.")] = False,
) -> None:
    """Say whether the platform can serve; the exit code is 7 if it can't."""
    if detailed:
        found = session.client.admin.health()
        session.output.result(found.to_dict(), lambda: _table(found))
        serves = found.state != "down"
    else:
        serves = session.can_serve()
        told = "healthy" if serves else "unhealthy"
        words = "The platform can serve." if serves else "The platform can't serve as it should."
        session.output.result({"status": told}, lambda: words)
    if not serves:
        raise typer.Exit(exit_codes.UNAVAILABLE)


def _table(found: PlatformHealth) -> RenderableType:
    return output.table(
        ["service", "part", "state", "since", "answers in", "version", ""],
        [row for service in found.services for row in _rows(service)],
    )


def _rows(service: ServiceHealth) -> Iterator[tuple[RenderableType, ...]]:
    own = "" if service.parts else service.message  # else each part says its own
    yield (service.name, "", output.state(service.state), _when(service), _latency(service), service.version, own)
    for part in service.parts:
        figures = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in sorted(part.figures.items()))
        told = " ".join(filter(None, (part.message, figures)))
        yield ("", part.name, output.state(part.state), _when(part), _latency(part), "", told)


def _when(health: ServiceHealth | PartHealth) -> RenderableType:
    return output.when(health.since_time)


def _latency(health: ServiceHealth | PartHealth) -> str:
    return f"{health.latency_ms:.1f} ms" if health.latency_ms else ""
