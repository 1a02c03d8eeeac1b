"""What every command has: the platform's address, who is signed in, and how to print."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirage.cli.output import Output
from mirage.credentials import FileCredentialStore
from mirage.endpoint import CA_VARIABLE, DEFAULT_URL, URL_VARIABLE, parse
from mirage.errors import InvalidRequest

if TYPE_CHECKING:
    from mirage.plain.client import Client

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help=f"The platform's address; {URL_VARIABLE} in the environment sets it too. [default: {DEFAULT_URL}]",
        show_default=False,
    ),
]
CaFile = Annotated[
    str | None,
    typer.Option(
        "--ca-file",
        help=f"Certificates (PEM) to trust instead of the usual ones; also {CA_VARIABLE}.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
PasswordFromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")]


class Session:
    """One run of the command line."""

    def __init__(self, url: str | None, ca_file: str | None, as_json: bool) -> None:
        self._url = url
        self._ca_file = ca_file
        self.output = Output(as_json)

    @cached_property
    def client(self) -> "Client":
        """The platform, with the tokens that `mirage login` kept."""
        from mirage.plain.client import Client

        return Client(self._url, store=FileCredentialStore(), ca_file=self._ca_file)

    def can_serve(self) -> bool:
        """Whether the platform says that it can serve; nobody needs to be signed in.

        Raises:
            Unavailable: if it can't be reached.
        """
        from mirage.probing import can_serve

        return can_serve(parse(self._url), self._ca_file or os.environ.get(CA_VARIABLE))

    @property
    def progress(self) -> bool | None:
        """How to show progress where it was asked for: also in a log, but only to people."""
        return None if self.output.as_json else True

    def password(self, from_input: bool, *, new: bool = False) -> str:
        """Returns a password from the keyboard, unseen, or from standard input.

        Raises:
            InvalidRequest: if there is neither.
        """
        if from_input:
            return sys.stdin.readline().rstrip("\r\n")
        if not sys.stdin.isatty():
            raise InvalidRequest("There is nobody to ask for the password.", hint="Pipe it in, with --password-stdin.")
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=new, err=True)
        return password

    def confirm(self, question: str, yes: bool) -> None:
        """Asks before something is destroyed.

        Raises:
            Exit: if the answer is no.
            InvalidRequest: if there is nobody to ask.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise InvalidRequest("There is nobody to ask whether this is meant.", hint="Say so with --yes.")
        if not typer.confirm(question, err=True):
            raise typer.Exit(1)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that every command has, and makes its `session` of them.

    `--url` and `--ca-file` also work before the command's name; what stands after it counts.
    """
    own = inspect.signature(function, eval_str=True)
    common = {"url": (Url, None), "ca_file": (CaFile, None), "as_json": (Json, False)}
    parameters = [parameter for name, parameter in own.parameters.items() if name != "session"]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in common.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

    @functools.wraps(function)
    def run(context: typer.Context, **options: Any) -> None:
        given = context.obj or {}
        url, ca_file, as_json = (options.pop(name) for name in common)
        function(session=Session(url or given.get("url"), ca_file or given.get("ca_file"), as_json), **options)

    run.__signature__ = own.replace(parameters=[context, *parameters])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [context, *parameters]}
    return run
