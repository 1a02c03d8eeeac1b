"""Everything that the platform holds about somebody, in one document: whole, or not at all."""

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from mirage.auth.v1 import account_pb2, session_pb2
from servicekit.database import Database
from services.auth.settings import Settings
from tests.auth.holding import HOLDERS, Surroundings, surrounded
from tests.auth.platform import PASSWORD, AuthService, Person
from tests.support.errors import refused


@pytest.fixture
async def around(settings: Settings, database: Database) -> AsyncIterator[Surroundings]:
    """An auth service among servers that hold what is users'."""
    async with surrounded(settings, database) as surroundings:
        yield surroundings


async def pieces_of(auth: AuthService, person: Person) -> list[bytes]:
    """Somebody's export as it comes."""
    call = auth.accounts.ExportAccount(account_pb2.ExportAccountRequest(), metadata=person.metadata)
    return [body.data async for body in call]


async def export(auth: AuthService, person: Person) -> dict[str, Any]:
    """Somebody's export."""
    document: dict[str, Any] = json.loads(b"".join(await pieces_of(auth, person)))
    return document


async def test_everything_in_one_document(around: Surroundings) -> None:
    """It has the account, sessions that are over too, keys without their secret, and what every service tells."""
    auth = around.auth
    person, stranger = await auth.user("ada@example.org", name="Ada „Lovelace“"), await auth.user()
    await auth.sessions.Logout(session_pb2.LogoutRequest(), metadata=(await auth.login("ada@example.org")).metadata)
    key = await auth.api_key(person, ["datasets:read"], name="a key")
    await auth.accounts.UpdateProfile(
        account_pb2.UpdateProfileRequest(organisation="Analytical Engines"), metadata=person.metadata
    )
    for name, peer in around.peers.items():
        peer.records[person.user_id] = {"things": [b'{"of": "%s"}' % name.encode()] * 3, "none": []}
        peer.records[stranger.user_id] = {"things": [b'{"of": "a stranger"}']}
    document = await export(auth, person)
    assert (document["format"], document["format_version"], document["user_id"]) == (
        "mirage-account-export",
        1,
        person.user_id,
    )
    assert set(document) == {"format", "format_version", "export_time", "user_id", "downloads", "auth", *HOLDERS}
    own = document["auth"]
    assert (own["account"]["email"], own["account"]["display_name"]) == ("ada@example.org", "Ada „Lovelace“")
    assert own["profile"]["organisation"] == "Analytical Engines"
    assert {each["session_id"]: each["end_cause"] for each in own["sessions"]}[person.session_id] == ""
    assert sorted(each["end_cause"] for each in own["sessions"]) == ["", "logout"]
    assert [(each["key_id"], each["name"]) for each in own["api_keys"]] == [(key.key_id, "a key")]
    for name in HOLDERS:
        assert document[name] == {"things": [{"of": name}] * 3, "none": []}
    text = json.dumps(document)
    for secret in (key.key, PASSWORD, person.pair.refresh_token, "argon2", "a stranger"):
        assert secret not in text


async def test_nothing_half(around: Surroundings) -> None:
    """Where a service is away, or breaks off, it is told which can't be reached, and not a byte comes."""
    auth = around.auth
    person = await auth.user()
    around.peers["optimizer"].records[person.user_id] = {"studies": [b"{}"] * 1000}
    around.peers["optimizer"].breaks_off = True
    async with refused("UNAVAILABLE", grpc.StatusCode.UNAVAILABLE) as refusal:
        await pieces_of(auth, person)
    assert refusal.metadata == {"part": "object store"}
    around.peers["optimizer"].breaks_off = False
    assert len((await export(auth, person))["optimizer"]["studies"]) == 1000


async def test_a_service_that_is_away(auth: AuthService) -> None:
    """Without the others there is no export, and the error names the one that can't be reached."""
    person = await auth.user()
    async with refused("UNAVAILABLE", grpc.StatusCode.UNAVAILABLE) as refusal:
        await pieces_of(auth, person)
    assert refusal.metadata == {"part": "dataset service"}


async def test_a_large_one(around: Surroundings) -> None:
    """Tens of megabytes come in small pieces, and are the document, also where one record is larger than a message."""
    auth = around.auth
    person = await auth.user()
    record = b'{"text": "%s"}' % (b"x" * 100_000)
    huge = b'{"text": "%s"}' % (b"y" * 9_000_000)
    small = [b'{"text": "z"}']
    around.peers["dataset"].records[person.user_id] = {"versions": [record] * 300 + [huge] + small, "events": small}
    pieces = await pieces_of(auth, person)
    assert max(map(len, pieces)) <= 1024 * 1024
    told = json.loads(b"".join(pieces))["dataset"]
    assert [len(each["text"]) for each in told["versions"]] == [100_000] * 300 + [9_000_000, 1]
    assert told["events"] == [{"text": "z"}]
