"""`mirage api-keys`: keys for programs."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import RenderableType

from mirage.api_key import API_KEY_VARIABLE
from mirage.cli import output
from mirage.cli.session import Session, Yes, command

app = typer.Typer(help="Keys by which programs use the platform in your name.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.", show_default=False)]


@app.command()
@command
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)],
    scope: Annotated[
        list[str],
        typer.Option("--scope", "-s", metavar="SCOPE", help="What it may do, such as datasets:read; may be repeated."),
    ],
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            min=1,
            help="How long it is good; the platform refuses more than its own limit. [default: 90]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a key. It is shown once, now.

    Scopes: account:read, account:write, admin:read, admin:write, credentials:read, credentials:write, datasets:read,
    datasets:write, generation:read, generation:write.
    """
    expire_time = None if days is None else _in_days(days)
    made = session.client.account.create_api_key(name, scope, expire_time=expire_time)

    def render() -> RenderableType:
        return output.facts(
            [
                ("key", made.key),
                ("id", made.id),
                ("name", made.name),
                ("scopes", " ".join(made.scopes)),
                ("good until", made.expire_time.astimezone().strftime("%Y-%m-%d %H:%M")),
            ]
        )

    session.output.result(made.to_dict(), render)
    session.output.note(f"Keep the key now: it is never shown again. Programs take it from {API_KEY_VARIABLE}.")


def _in_days(days: int) -> datetime:
    """So many days from now; the last moment there is for as many as go beyond the calendar."""
    try:
        return datetime.now(UTC) + timedelta(days=days)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


@app.command("list")
@command
def list_keys(session: Session) -> None:
    """List your keys, the newest first."""
    found = session.client.account.api_keys()
    session.output.result(
        [key.to_dict() for key in found],
        lambda: output.table(
            ["id", "name", "key", "scopes", "good until", "last used", "from"],
            [
                (
                    key.id,
                    key.name,
                    f"…{key.hint}",
                    " ".join(key.scopes),
                    "expired" if key.expired else key.expire_time.astimezone().strftime("%Y-%m-%d %H:%M"),
                    output.when(key.last_use_time),
                    key.last_use_address,
                )
                for key in found
            ],
            empty="No keys.",
        ),
    )


@app.command()
@command
def delete(session: Session, key_id: KeyId, yes: Yes = False) -> None:
    """Delete a key; programs that use it are refused from then on."""
    session.confirm(f"Delete the key {key_id}?", yes)
    session.client.account.delete_api_key(key_id)
    session.output.result({"deleted": key_id}, lambda: f"Deleted the key {output.visible(key_id)}.")
