"""The command line of the auditor and of who made a table, and the client beneath it."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import text

from mirage import AsyncClient, FileCredentialStore, MemoryCredentialStore
from mirage.audit import signing
from mirage.cli import exit_codes
from mirage.cli.app import run
from mirage.credentials import CredentialStore, Tokens
from mirage.errors import NotFound, PermissionDenied
from tests.activity.platform import Platform, event
from tests.activity.story import KINDS, Story, key_set


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    output: str
    messages: str


Mirage = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def mirage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mirage:
    """Runs the command line with a configuration of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    async def invoke(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = await asyncio.to_thread(run, [str(argument) for argument in arguments])
        captured = capsys.readouterr()
        # The server of the test logs to standard output in the same process.
        output = "".join(line for line in captured.out.splitlines(keepends=True) if not line.startswith("20"))
        return Outcome(code, output, captured.err)

    return invoke


def sign_in(store: CredentialStore, platform: Platform, token: str) -> str:
    """Leaves a token where a client of the service looks for it; returns the service's URL."""
    url = f"http://{platform.address}"
    with store.locked():
        store.save(url, Tokens(token, "", time.time() + 1000, "ada@example.org"))
    return url


@pytest.fixture
async def story(platform: Platform, monkeypatch: pytest.MonkeyPatch, mirage: Mirage) -> Story:
    """A table of which the log tells, and who made it signed in."""
    told = Story()
    await platform.record(event(), *told.events)
    monkeypatch.setenv("MIRAGE_URL", sign_in(FileCredentialStore(), platform, platform.tokens.user(told.owner_id)))
    return told


@contextmanager
def no_network() -> Iterator[None]:
    """As long as the block runs, opening any socket is an error, and so is making a client."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the network was used")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr("mirage.connection.Connection.__init__", refuse)
        patch.setenv("MIRAGE_URL", "http://nowhere.invalid")
        yield


async def test_provenance(mirage: Mirage, story: Story) -> None:
    """The chain is shown from upload to download, for people and for programs."""
    outcome = await mirage("provenance", story.job_id)
    assert outcome.code == exit_codes.OK, outcome.messages
    lines = outcome.output.splitlines()
    assert [next(word for word in line.split() if "." in word) for line in lines[1:]] == KINDS
    assert "ada-lovelace.csv" in lines[1]
    assert "seed 42" in outcome.output
    told = json.loads((await mirage("provenance", story.job_id, "--json", "--verify")).output)
    assert [record["kind"] for record in told["records"]] == KINDS
    assert told["verdict"]["intact"] is True


async def test_provenance_of_nothing(mirage: Mirage, story: Story) -> None:
    """An id that is nobody's, or somebody else's, is told as such."""
    outcome = await mirage("provenance", "nothing")
    assert outcome.code == exit_codes.NOT_FOUND
    assert "nothing is in the log" in outcome.messages


async def test_a_file_is_checked_without_any_network(mirage: Mirage, story: Story, tmp_path: Path) -> None:
    """What was exported is checked by the file of keys, or by a key's id; without either, it warns."""
    exported, keys = tmp_path / "table.json", tmp_path / "keys.json"
    wrote = await mirage("provenance", story.job_id, "--output", exported)
    assert wrote.code == exit_codes.OK, wrote.messages
    assert (await mirage("audit", "keys", "--output", keys)).code == exit_codes.OK
    [key_id] = signing.parsed_keys(keys.read_bytes())
    with no_network():
        trusting = [await mirage("audit", "verify", exported, "--key", trusted) for trusted in (keys, key_id)]
        without = await mirage("audit", "verify", exported)
        told = json.loads((await mirage("audit", "verify", exported, "--json")).output)
    for outcome in trusting:
        assert outcome.code == exit_codes.OK, outcome.messages
        assert "intact" in outcome.output
        assert story.job_id in outcome.output
        assert "Warning" not in outcome.messages
    assert without.code == exit_codes.OK
    assert "Warning: no --key was given" in without.messages
    assert (told["intact"], told["key_trusted"], told["key_id"]) == (True, False, key_id)


async def test_a_forged_file(mirage: Mirage, story: Story, tmp_path: Path) -> None:
    """A changed file ends with 1 and names the bad record; what is no such file, or no key, ends with 2."""
    exported = tmp_path / "table.json"
    await mirage("provenance", story.job_id, "--output", exported)
    forged = json.loads(exported.read_text())
    forged["records"][2]["record"]["attributes"]["seed"] = 43
    exported.write_text(json.dumps(forged))
    outcome = await mirage("audit", "verify", exported)
    assert outcome.code == exit_codes.FAILURE
    assert "NOT INTACT" in outcome.output
    assert "first bad record  4" in outcome.output
    for arguments in ((__file__,), (exported, "--key", "no-such-key"), (exported, "--key", __file__)):
        assert (await mirage("audit", "verify", *arguments)).code == exit_codes.USAGE
    assert (await mirage("audit", "verify", tmp_path / "missing.json")).code == exit_codes.FAILURE
    outcome = await mirage("audit", "verify", exported, "--key", "x" * 43)
    assert outcome.code == exit_codes.FAILURE
    assert "not trusted" in outcome.output


async def test_the_whole_log(mirage: Mirage, story: Story, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator has the log checked; where it was changed that ends with 1 and the first bad record."""
    assert (await mirage("audit", "verify")).code == exit_codes.NOT_ALLOWED
    sign_in(FileCredentialStore(), platform, platform.tokens.administrator())
    outcome = await mirage("audit", "verify")
    assert outcome.code == exit_codes.OK, outcome.messages
    assert "7 right, 7 of them signed" in outcome.output
    async with platform.database.sessions.begin() as session:
        await session.execute(text("UPDATE records SET attributes = '{}' WHERE seq = 4"))
    outcome = await mirage("audit", "verify")
    assert outcome.code == exit_codes.FAILURE
    assert "first bad record  4" in outcome.output
    assert (await mirage("provenance", story.job_id, "--verify")).code == exit_codes.FAILURE


async def test_the_client(platform: Platform, story: Story, tmp_path: Path) -> None:
    """A program gets the chain, its verdict and its document; somebody else's is not found."""
    store = MemoryCredentialStore()
    url = sign_in(store, platform, platform.tokens.user(story.owner_id))
    async with AsyncClient(url, store=store) as client:
        found = await client.provenance(story.job_id)
        assert [record.kind for record in found.records] == KINDS
        assert found.records[0].personal == {"file_name": "ada-lovelace.csv"}
        assert found.records[2].attributes["settings"] == {
            "epochs": 10,
            "generator_lr": 2e-4,
            "log_frequency": True,
        }
        verdict = await found.verify()
        assert verdict
        assert (verdict.records, verdict.log.records) == (len(KINDS), len(KINDS) + 1)
        assert json.loads((await found.export(tmp_path)).read_text())["object_id"] == story.job_id
        assert await client.audit_keys() == json.loads(await key_set(platform))
        with pytest.raises(PermissionDenied):
            await client.admin.verify_log()
    sign_in(store, platform, platform.tokens.user(UUID(int=7)))
    async with AsyncClient(url, store=store) as client:
        with pytest.raises(NotFound):
            await client.provenance(story.job_id)
