"""`mirage account`: what the platform holds about you, and the end of it."""

from pathlib import Path
from typing import Annotated

import typer

from mirage.cli import output
from mirage.cli.session import PasswordFromInput, Session, Yes, command

app = typer.Typer(help="What the platform holds about you, and the end of it.", no_args_is_help=True)


@app.command()
@command
def export(
    session: Session,
    to: Annotated[Path, typer.Option("--output", "-o", help="The file to write, or a directory.")] = Path(),
) -> None:
    """Write everything that the platform holds about you to a JSON file.

    Tables and models are described in it, each with where to download it.
    """
    path = session.client.account.export(to)
    session.output.result({"path": str(path)}, lambda: f"Written to {path}.")


@app.command()
@command
def delete(session: Session, password_stdin: PasswordFromInput = False, yes: Yes = False) -> None:
    """Delete your account with everything that is yours, for good."""
    client = session.client
    user = client.account.me()
    public = [output.visible(each.name) for each in client.datasets.list() if each.visibility == "public"]
    if public:
        session.output.note(f"Your public datasets will be gone for everybody: {', '.join(public)}.")
    question = f"Delete the account of {user.email}, with all its datasets, models, tables and searches, for good?"
    session.confirm(question, yes)
    deletion_id = client.account.delete(session.password(password_stdin))
    session.output.result(
        {"deletion_id": deletion_id},
        lambda: "Your account is deleted; everything that was yours is gone within a minute.",
    )
