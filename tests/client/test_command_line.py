"""The command line: what it prints where, exit codes, and that nobody ever sees a trace."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mirage.cli import exit_codes
from mirage.cli.app import app, run
from mirage.cli.output import visible
from tests.client.platform import EMAIL, PASSWORD, SmallPlatform


@dataclass
class Outcome:
    """What a command did."""

    code: int
    output: str
    messages: str


Mirage = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def mirage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], platform: SmallPlatform
) -> Mirage:
    """Runs the command line, with a credential file of its own, on the small platform."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("MIRAGE_URL", platform.url)

    async def invoke(*arguments: str, standard_input: str = "") -> Outcome:
        monkeypatch.setattr("sys.stdin", io.StringIO(standard_input))
        capsys.readouterr()
        code = await asyncio.to_thread(run, arguments)
        captured = capsys.readouterr()
        # The server of the test logs to standard output in the same process.
        output = "".join(line for line in captured.out.splitlines(keepends=True) if "[debug" not in line)
        return Outcome(code, output, captured.err)

    return invoke


@pytest.fixture
async def signed_in(mirage: Mirage) -> Mirage:
    """The same, signed in."""
    outcome = await mirage("login", EMAIL, "--password-stdin", standard_input=f"{PASSWORD}\n")
    assert outcome.code == exit_codes.OK, outcome.messages
    return mirage


def commands() -> Iterator[list[str]]:
    """Yields the words of every command and group there is."""

    def walk(command: Any, words: list[str]) -> Iterator[list[str]]:
        yield words
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, [*words, name])

    yield from walk(typer.main.get_command(app), [])


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
async def test_every_command_explains_itself(mirage: Mirage, words: list[str]) -> None:
    """Every command has a help text, and every one that does something offers JSON and an address."""
    outcome = await mirage(*words, "--help")
    assert outcome.code == exit_codes.OK
    assert "Usage:" in outcome.output
    if words and "COMMAND" not in outcome.output:
        assert "--json" in outcome.output
        assert "--url" in outcome.output


async def test_signing_in_and_out(mirage: Mirage) -> None:
    """Whoever signs in stays signed in for the next command, until they sign out."""
    assert (await mirage("whoami")).code == exit_codes.NOT_SIGNED_IN
    wrong = await mirage("login", EMAIL, "--password-stdin", standard_input="wrong\n")
    assert wrong.code == exit_codes.NOT_SIGNED_IN
    assert "password is wrong" in wrong.messages
    right = await mirage("login", EMAIL, "--password-stdin", standard_input=f"{PASSWORD}\n")
    assert (right.code, right.messages) == (exit_codes.OK, "")
    assert EMAIL in (await mirage("whoami")).output
    assert (await mirage("logout")).code == exit_codes.OK
    assert (await mirage("whoami")).code == exit_codes.NOT_SIGNED_IN


async def test_json_for_programs(signed_in: Mirage) -> None:
    """With --json standard output is JSON and nothing else, and an error is JSON on the standard error output."""
    user = json.loads((await signed_in("whoami", "--json")).output)
    assert (user["email"], user["state"]) == (EMAIL, "USER_STATE_ACTIVE")
    assert len(json.loads((await signed_in("datasets", "list", "--json", "--limit", "7")).output)) == 7
    failed = await signed_in("jobs", "show", "nothing", "--json")
    assert failed.output == ""
    assert json.loads(failed.messages)["error"]["code"] == "JOB_NOT_FOUND"


async def test_tables_for_people(signed_in: Mirage) -> None:
    """Without, there is a table with every name and id whole, even where it goes into a pipe."""
    output = (await signed_in("datasets", "list", "--limit", "3")).output
    assert output.splitlines()[0].split() == ["id", "name", "rows", "columns", "state", "uploaded"]
    assert output.splitlines()[1].split()[:3] == ["id-0", "table", "0"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["jobs", "show", "nothing"], exit_codes.NOT_FOUND, "does not exist"),
        (["jobs", "watch", "failed"], exit_codes.ENDED_BADLY, "The table has no rows."),
        (["datasets", "show", "no such name"], exit_codes.NOT_FOUND, "mirage datasets list"),
        (["datasets", "show", "table 448"], exit_codes.NOT_POSSIBLE, "id-448, id-449"),
        (["datasets", "upload", "/nowhere.csv"], exit_codes.USAGE, "no file at /nowhere.csv"),
        (["datasets", "list", "--state", "lost"], exit_codes.USAGE, "processing, ready, failed"),
        (["download", "job", "-o", "t.docx"], exit_codes.USAGE, "csv"),
        (
            ["--url", "http://127.0.0.1:1", "login", "a@b.c", "--password-stdin"],
            exit_codes.UNAVAILABLE,
            "make run",
        ),
        (["whoami", "--url", "ftp://x"], exit_codes.USAGE, "http://localhost:8080"),
        (["whoami", "--ca-file", "/nowhere.pem"], exit_codes.USAGE, "/nowhere.pem"),
        (["register", "x"], exit_codes.USAGE, "--password-stdin"),
        (["register", "x", "--password-stdin"], exit_codes.USAGE, "password: is too short"),
        (["generate"], exit_codes.USAGE, "DATASET"),
        (["generate", "table 0", "--param", "epochs"], exit_codes.USAGE, "NAME=VALUE"),
        (["generate", "table 0", "--epochs", "1", "-p", "epochs=2"], exit_codes.USAGE, "epochs"),
        (["nonsense"], exit_codes.USAGE, "nonsense"),
        (["datasets", "update"], exit_codes.USAGE, "DATASET"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_errors_say_what_to_do(
    platform: SmallPlatform, signed_in: Mirage, arguments: list[str], code: int, text: str
) -> None:
    """Every failure has its exit code, says on the standard error output what to do, and shows no trace."""
    platform.add_events(1, last=True)
    outcome = await signed_in(*arguments)
    assert outcome.code == code, outcome.messages
    assert text in " ".join(outcome.messages.replace("│", " ").split())
    assert outcome.output == ""
    assert "Traceback" not in outcome.messages


async def test_what_nobody_thought_of(signed_in: Mirage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the program itself is one sentence, and where it happened only on demand."""

    def broken(*arguments: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("mirage.cli.session.Session.client", property(broken))
    outcome = await signed_in("whoami")
    assert outcome.code == exit_codes.FAILURE
    assert "RuntimeError: a fault" in outcome.messages
    assert "Traceback" not in outcome.messages
    monkeypatch.setenv("MIRAGE_DEBUG", "1")
    assert "Traceback" in (await signed_in("whoami")).messages


async def test_a_job_asks_for_what_was_typed(platform: SmallPlatform, signed_in: Mirage) -> None:
    """Model, engine and parameters reach the platform, and what it refuses is told by name."""
    typed = ("--model", "gaussian_copula", "--engine", "mirage", "-p", "ordering_rows=500", "--rows", "30")
    outcome = await signed_in("generate", "table 0", *typed)
    assert "epochs: must be 1 to 500" in outcome.messages
    assert (platform.wanted[-1].engine, platform.wanted[-1].sample_size) == ("mirage", 30)
    assert dict(platform.wanted[-1].model_config) == {"model_type": "gaussian_copula", "ordering_rows": 500}


async def test_watching_as_json(platform: SmallPlatform, signed_in: Mirage) -> None:
    """For programs a watch is one event a line, each with its resume token."""
    platform.add_events(3, last=True)
    lines = (await signed_in("jobs", "watch", "job", "--json")).output.splitlines()
    assert [json.loads(line)["resume_token"] for line in lines] == ["after-1", "after-2", "after-3"]


async def test_download(platform: SmallPlatform, signed_in: Mirage, tmp_path: Path) -> None:
    """A table is written where it is wanted, and the command says where that is."""
    platform.add_events(1, last=True)
    outcome = await signed_in("download", "job", "--output", str(tmp_path / "table.csv"))
    assert outcome.code == exit_codes.OK, outcome.messages
    assert str(tmp_path / "table.csv") in outcome.output
    assert (tmp_path / "table.csv").stat().st_size == len(b"a,b\n1,x\n")


async def test_destroying_needs_a_yes(signed_in: Mirage) -> None:
    """Where there is nobody to ask, nothing is deleted without --yes."""
    outcome = await signed_in("jobs", "rm", "failed")
    assert outcome.code == exit_codes.USAGE
    assert "--yes" in outcome.messages


def test_text_can_t_command_the_terminal() -> None:
    """Control characters in names and messages are made visible before they are printed."""
    assert visible("a\x1b[31mb\x07\nc") == "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}\nc"
