"""`mirage notifications …`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mirage.cli import output
from mirage.cli.session import Session, command

if TYPE_CHECKING:
    from mirage.records.notification import Notification, NotificationPreferences

app = typer.Typer(help="What you are told of, and how.", no_args_is_help=True)

Kind = Annotated[
    str, typer.Argument(metavar="KIND", help="Such as job_ended; `preferences` lists them.", show_default=False)
]
Push = Annotated[bool, typer.Option("--push", help="To your registered browsers only.")]
Email = Annotated[bool, typer.Option("--email", help="By e-mail only.")]


@app.command("list")
@command
def list_notifications(
    session: Session,
    unread: Annotated[bool, typer.Option("--unread", help="Only those that aren't read.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
) -> None:
    """List your notifications, the newest first."""
    found = session.client.notifications.list(unread_only=unread, limit=limit)
    session.output.result([each.to_dict() for each in found], lambda: _table(found))


@app.command()
@command
def watch(session: Session) -> None:
    """Show notifications as they are made, until Ctrl-C. With --json: one a line."""
    session.output.note("Waiting for what happens; Ctrl-C ends this.")
    for event in session.client.notifications.watch():
        told = event.notification
        if told is not None and session.output.as_json:
            session.output.event(told.to_dict())
        elif told is not None:
            print(output.visible(f"{output.when(told.create_time)}  {told.title}. {told.body}"), flush=True)


@app.command()
@command
def read(
    session: Session,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]…", help="Which; without any, all.", show_default=False)
    ] = None,
) -> None:
    """Mark notifications as read."""
    count = session.client.notifications.mark_read(*(ids or []), all=not ids)
    session.output.result({"read_count": count}, lambda: f"{count} marked as read.")


@app.command()
@command
def delete(session: Session, notification_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)]) -> None:
    """Delete a notification."""
    session.client.notifications.delete(notification_id)
    session.output.result({"notification_id": notification_id}, lambda: "Deleted.")


@app.command()
@command
def preferences(session: Session) -> None:
    """Show of what you are told, and how."""
    _show(session, session.client.notifications.preferences())


@app.command()
@command
def off(session: Session, kind: Kind, push: Push = False, email: Email = False) -> None:
    """Be told of a kind no longer, or not by one way."""
    _show(session, _set(session, kind, push=push, email=email, to=False))


@app.command()
@command
def on(session: Session, kind: Kind, push: Push = False, email: Email = False) -> None:
    """Be told of a kind again, or by one way more."""
    _show(session, _set(session, kind, push=push, email=email, to=True))


def _set(session: Session, kind: str, *, push: bool, email: bool, to: bool) -> "NotificationPreferences":
    return session.client.notifications.set_preference(
        kind,
        enabled=None if push or email else to,
        push=to if push else None,
        email=to if email else None,
    )


def _show(session: Session, preferences: "NotificationPreferences") -> None:
    def render() -> RenderableType:
        return output.table(
            ["kind", "told", "push", "e-mail", "of what"],
            [
                (
                    each.kind,
                    _word(each.enabled),
                    _word(each.push and bool(preferences.vapid_public_key)),
                    _word(each.email and preferences.email_available),
                    each.description,
                )
                for each in preferences.kinds
            ],
        )

    session.output.result(preferences.to_dict(), render)
    if not preferences.email_available:
        session.output.note("This platform sends no e-mail.")


def _word(is_on: bool) -> str:
    return "yes" if is_on else "no"


def _table(found: "list[Notification]") -> RenderableType:
    return output.table(
        ["", "when", "what", "", "id"],
        [
            ("" if each.read_time else "•", output.when(each.create_time), each.title, each.body, each.id)
            for each in found
        ],
        empty="Nothing.",
    )
