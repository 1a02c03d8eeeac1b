"""`python -m services.auth.admin create --email ada@example.org`: makes an administrator.

Needs `DATABASE_URL`, as the service does; whoever has that needs no account to be let in.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from servicekit.database import Database
from servicekit.errors import InvalidRequest
from servicekit.settings import load
from services.auth.administration import Appointment, appoint
from services.auth.passwords import Passwords
from services.auth.settings import CommandSettings


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; exits with 2 where an argument is wrong, with 1 where the database can't be used."""
    parser = argparse.ArgumentParser(prog="python -m services.auth.admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make an account an administrator, and make the account if need be")
    create.add_argument("--email", required=True, help="the address to sign in with")
    create.add_argument("--name", default="Administrator", help="the name of a new account (default: %(default)s)")
    create.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from the first line of standard input; without, a new account gets a generated one",
    )
    options = parser.parse_args(arguments)
    password = sys.stdin.readline().rstrip("\r\n") if options.password_stdin else None
    if password == "":
        parser.error("--password-stdin: standard input is empty")
    settings = load(CommandSettings)
    try:
        appointment = asyncio.run(_appoint(settings, options.email, options.name, password))
    except InvalidRequest as error:
        parser.error("; ".join(f"{field} {description}" for field, description in error.violations))
    except (OSError, DBAPIError) as error:
        message = f"The database can't be used ({type(error).__name__}): is it running, and are its migrations applied?"
        print(message, file=sys.stderr)  # noqa: T201 - what a command is for
        raise SystemExit(1) from None
    print(_report(appointment))  # noqa: T201 - what a command is for


async def _appoint(settings: CommandSettings, email: str, name: str, password: str | None) -> Appointment:
    database = Database.from_settings(settings)
    passwords = Passwords(settings)
    try:
        return await appoint(database, passwords, email=email, display_name=name, password=password)
    finally:
        passwords.close()
        await database.close()


def _report(appointment: Appointment) -> str:
    address = appointment.user.email
    if not appointment.created:
        return f"{address} is an administrator now."
    if not appointment.generated_password:
        return f"Made the administrator {address}."
    return f"Made the administrator {address} with the password {appointment.generated_password}\nIt is shown only now."


if __name__ == "__main__":
    main()
