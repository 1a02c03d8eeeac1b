"""`mirage register`, `login`, `logout`, `whoami`, `password`, `sessions`."""

from typing import Annotated

import typer

from mirage.cli import output
from mirage.cli.session import PasswordFromInput, Session, command

Email = Annotated[
    str | None, typer.Argument(metavar="[EMAIL]", help="The address of the account; asked for if absent.")
]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for function in (register, login, logout, whoami, password, sessions):
        app.command(rich_help_panel="Account")(command(function))


def register(
    session: Session,
    email: Email = None,
    name: Annotated[str, typer.Option("--name", help="The name shown to others.")] = "",
    password_stdin: PasswordFromInput = False,
) -> None:
    """Make an account, and sign in to it."""
    client = session.client
    user = client.register(_given(email), session.password(password_stdin, new=True), name)
    session.output.result(
        user.to_dict(), lambda: f"Welcome, {output.visible(user.display_name)}. You are signed in to {client.url}."
    )


def login(session: Session, email: Email = None, password_stdin: PasswordFromInput = False) -> None:
    """Sign in. Tokens are kept in a file that only you can read."""
    client = session.client.login(_given(email), session.password(password_stdin))
    user = client.account.me()
    session.output.result(user.to_dict(), lambda: f"You are signed in to {client.url} as {output.visible(user.email)}.")


def _given(email: str | None) -> str:
    return email or str(typer.prompt("E-mail address", err=True))


def logout(
    session: Session,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Sign out on every device.")] = False,
) -> None:
    """Sign out."""
    client = session.client
    client.logout(everywhere)
    session.output.result({"signed_out": client.url}, lambda: f"You are signed out of {client.url}.")


def whoami(session: Session) -> None:
    """Show who is signed in, and where."""
    client = session.client
    user = client.account.me()
    session.output.result(
        user.to_dict() | {"url": client.url},
        lambda: output.facts(
            [
                ("address", user.email),
                ("name", user.display_name),
                ("role", user.role),
                ("since", output.when(user.create_time)),
                ("platform", client.url),
            ]
        ),
    )


def password(session: Session, password_stdin: PasswordFromInput = False) -> None:
    """Set a new password; every other device is signed out.

    With --password-stdin the old one comes first, then the new one, each on its line.
    """
    if not password_stdin:
        session.output.note("First the password in force, then the new one.")
    old = session.password(password_stdin)
    ended = session.client.account.change_password(old, session.password(password_stdin, new=True))
    session.output.result(
        {"ended_sessions": ended}, lambda: f"The password is changed; {ended} other devices were signed out."
    )


def sessions(
    session: Session,
    end: Annotated[str | None, typer.Option("--end", metavar="ID", help="Sign this device out.")] = None,
) -> None:
    """Show the devices on which you are signed in."""
    account = session.client.account
    if end is not None:
        account.end_session(end)
    found = account.sessions()
    session.output.result(
        [each.to_dict() for each in found],
        lambda: output.table(
            ["id", "program", "address", "last used", ""],
            [
                (
                    each.id,
                    each.user_agent,
                    each.address,
                    output.when(each.last_use_time),
                    "this one" if each.current else "",
                )
                for each in found
            ],
        ),
    )
