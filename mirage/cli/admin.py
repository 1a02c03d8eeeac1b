"""`mirage admin …`."""

import importlib.util
import subprocess
import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.console import RenderableType

from mirage.cli import output
from mirage.cli.jobs import jobs_table
from mirage.cli.session import Limit, PasswordFromInput, Session, Yes, command
from mirage.errors import InvalidRequest, NotSignedIn, NotSupported, PermissionDenied
from mirage.records.account import User as UserRecord
from mirage.records.administration import ServiceDeletion

app = typer.Typer(help="Everybody's accounts and jobs, for administrators.", no_args_is_help=True)

User = Annotated[str, typer.Argument(metavar="USER", help="The account's id or address.", show_default=False)]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.", show_default=False)]

FIRST_ADMINISTRATOR = (
    "Only an administrator makes another one. The first is made on the machine that runs the platform, "
    "by `make admin` or `mirage admin create --here`."
)
# What makes an administrator without being one: whoever can read the platform's own keys needs no account to be let in.
MAKE_HERE = ("-m", "deploy.local", "exec", "auth", "--", "python", "-m", "services.auth.admin", "create")


@app.command()
@command
def users(
    session: Session,
    role: Annotated[str, typer.Option("--role", help="Only user or administrator.")] = "",
    state: Annotated[str, typer.Option("--state", help="Only active or inactive.")] = "",
    text: Annotated[str, typer.Option("--text", help="Only those whose address or name contains it.")] = "",
    limit: Limit = 50,
) -> None:
    """List accounts, the newest first."""
    found = session.client.admin.users(role=role, state=state, text=text, limit=limit)
    session.output.result(
        [user.to_dict() for user in found],
        lambda: output.table(
            ["id", "address", "name", "role", "state", "last sign-in"],
            [
                (
                    user.id,
                    user.email,
                    user.display_name,
                    user.role,
                    output.state(user.state),
                    output.when(user.last_login_time),
                )
                for user in found
            ],
        ),
    )


@app.command()
@command
def show(session: Session, user: User) -> None:
    """Show an account."""
    _show(session, session.client.admin.user(user))


@app.command()
@command
def create(
    session: Session,
    email: Annotated[str, typer.Option("--email", "-e", prompt="E-mail address", help="The address to sign in with.")],
    name: Annotated[str, typer.Option("--name", help="The name shown to others.")] = "Administrator",
    role: Annotated[str, typer.Option("--role", help="administrator or user.")] = "administrator",
    password_stdin: PasswordFromInput = False,
    here: Annotated[
        bool, typer.Option("--here", help="Make an administrator of the platform on this machine, without being one.")
    ] = False,
) -> None:
    """Make an account for somebody else, as an administrator if not said otherwise.

    The first administrator of a platform is made with --here, on the machine that runs it and in its directory. An
    account that exists becomes an administrator; a new one gets a made-up password, unless --password-stdin gives one.
    """
    if here:
        _make_here(session, email, name, role, password_stdin)
        return
    client = session.client
    try:
        # Asked first, so that nobody gets an account without the role.
        client.admin.users(limit=1)
    except (NotSignedIn, PermissionDenied) as error:
        error.hint = FIRST_ADMINISTRATOR
        raise
    _show(session, client.admin.create_user(email, session.password(password_stdin, new=True), name, role))


@app.command()
@command
def activate(session: Session, user: User) -> None:
    """Let an account sign in again."""
    admin = session.client.admin
    _show(session, admin.activate(admin.user(user).id))


@app.command()
@command
def deactivate(session: Session, user: User) -> None:
    """Switch an account off, and end its sessions."""
    admin = session.client.admin
    _show(session, admin.deactivate(admin.user(user).id))


@app.command("role")
@command
def set_role(
    session: Session,
    user: User,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="user or administrator.", show_default=False)],
) -> None:
    """Set an account's role."""
    admin = session.client.admin
    _show(session, admin.set_role(admin.user(user).id, role))


@app.command()
@command
def rm(session: Session, user: User, yes: Yes = False) -> None:
    """Delete an account, with everything that is its user's."""
    admin = session.client.admin
    found = admin.user(user)
    session.confirm(f"Delete the account of {found.email}, with everything that is theirs, public datasets too?", yes)
    deletion_id = admin.delete_user(found.id)
    session.output.result(
        {"deleted": found.id, "deletion_id": deletion_id},
        lambda: f"Deleted the account of {output.visible(found.email)}; the rest is gone within a minute.",
    )


@app.command()
@command
def deletions(
    session: Session,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Only those of which something may be left.")
    ] = False,
    limit: Limit = 50,
) -> None:
    """List the ends of accounts, the latest first, and how far each service is."""
    found = session.client.admin.deletions(unfinished=unfinished, limit=limit)
    session.output.result(
        [deletion.to_dict() for deletion in found],
        lambda: output.table(
            ["id", "account", "by", "begun", "state", "services"],
            [
                (
                    deletion.id,
                    deletion.user_id,
                    deletion.requested_by,
                    output.when(deletion.create_time),
                    output.state(deletion.state),
                    ", ".join(_step(step) for step in deletion.services),
                )
                for deletion in found
            ],
            empty="No accounts were deleted.",
        ),
    )


@app.command()
@command
def logs(
    session: Session,
    actor: Annotated[str, typer.Option("--actor", help="Only what this account did (id or address).")] = "",
    action: Annotated[
        str, typer.Option("--action", help="Only this kind, such as job.approved, or all of a noun, such as job.")
    ] = "",
    object_type: Annotated[str, typer.Option("--type", help="Only what happened to objects of this type.")] = "",
    object_id: Annotated[str, typer.Option("--object", help="Only what happened to the object with this id.")] = "",
    since: Annotated[datetime | None, typer.Option("--since", help="Only what happened then or later.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Only what happened before.")] = None,
    limit: Limit = 50,
) -> None:
    """Show who did what to what, the latest first."""
    admin = session.client.admin
    found = admin.logs(
        actor_id=admin.user(actor).id if actor else "",
        action=action,
        object_type=object_type,
        object_id=object_id,
        since=since,
        until=until,
        limit=limit,
    )
    session.output.result(
        [record.to_dict() for record in found],
        lambda: output.table(
            ["#number", "when", "who", "what", "to what", "id"],
            [
                (
                    str(record.seq),
                    output.when(record.recorded_time),
                    record.actor_id or record.service,
                    record.kind,
                    record.object_type,
                    record.object_id,
                )
                for record in found
            ],
            empty="Nothing like that has happened.",
        ),
    )


@app.command()
@command
def requests(
    session: Session,
    user: Annotated[str, typer.Option("--user", help="Only this account's (id or address).")] = "",
    state: Annotated[str, typer.Option("--state", help="Only those in this state, such as awaiting_approval.")] = "",
    since: Annotated[datetime | None, typer.Option("--since", help="Only those started then or later.")] = None,
    limit: Limit = 50,
) -> None:
    """List everybody's jobs, the newest first."""
    admin = session.client.admin
    user_id = admin.user(user).id if user else ""
    found = admin.jobs(user_id=user_id, state=state, since=since, limit=limit)
    session.output.result(
        [job.to_dict() for job in found], lambda: jobs_table(found, empty="No jobs.", with_owner=True)
    )


@app.command()
@command
def approve(session: Session, job: JobId, reason: Annotated[str, typer.Option("--reason", help="Why.")] = "") -> None:
    """Let a job that waits for approval run."""
    approved = session.client.admin.approve(job, reason)
    session.output.result(approved.to_dict(), lambda: f"{approved.id} is {approved.state}.")


@app.command()
@command
def reject(
    session: Session,
    job: JobId,
    reason: Annotated[str, typer.Option("--reason", prompt="Why", help="Why; its owner is shown it.")],
) -> None:
    """Refuse a job that waits for approval."""
    rejected = session.client.admin.reject(job, reason)
    session.output.result(rejected.to_dict(), lambda: f"{rejected.id} is {rejected.state}.")


def _make_here(session: Session, email: str, name: str, role: str, password_stdin: bool) -> None:
    if role != "administrator":
        raise InvalidRequest("--here makes administrators only.", reason="INVALID_OPTION")
    if importlib.util.find_spec("deploy") is None:
        raise NotSupported("This installation holds the client only, not the platform.", hint=FIRST_ADMINISTRATOR)
    arguments = ["--email", email, "--name", name, *(["--password-stdin"] if password_stdin else [])]
    result = subprocess.run([sys.executable, *MAKE_HERE, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise typer.Exit(result.returncode)
    session.output.result({"email": email, "message": result.stdout.strip()}, result.stdout.strip)


def _step(step: ServiceDeletion) -> str:
    return f"{step.service} {step.state}" + (f" ({step.error})" if step.error else "")


def _show(session: Session, user: UserRecord) -> None:
    def render() -> RenderableType:
        return output.facts(
            [
                ("address", user.email),
                ("id", user.id),
                ("name", user.display_name),
                ("role", user.role),
                ("state", output.state(user.state)),
                ("last sign-in", output.when(user.last_login_time)),
            ]
        )

    session.output.result(user.to_dict(), render)
