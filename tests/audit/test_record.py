"""What of an event is hashed, and that nobody can be read from it."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mirage.audit import people
from mirage.audit.record import GENESIS, Record, chained, people_of, record_hash

ADA, BOB = "0199a0aa-0000-7000-8000-00000000ada0", "0199a0aa-0000-7000-8000-000000000b0b"
KEYS = {ADA: bytes(range(32)), BOB: bytes(range(32, 64))}
RECORD = Record(
    seq=1,
    event_id="0199a0aa-0000-7000-8000-000000000001",
    kind="account.role_changed",
    service="auth",
    occurred_time=datetime(2026, 1, 31, 12, 0, 0, 120, tzinfo=UTC),
    recorded_time=datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC),
    actor_id=ADA,
    actor_role="administrator",
    owner_id=BOB,
    object_type="account",
    object_id=BOB,
    related={"user_id": BOB, "job_id": "j"},
    attributes={"role": "administrator", "rows": 3.0},
    sealed=b"sealed",
    request_id="r",
    trace_id="t",
)


def test_text() -> None:
    """The text that is hashed is this one, byte for byte: another spelling would end every chain there is."""
    made = chained(RECORD, KEYS, GENESIS)
    told = json.loads(made.text)
    assert made.text.startswith('{"actor_id":"commitment:')
    assert {name: told[name] for name in told if not str(told[name]).startswith("commitment:")} == {
        "version": 1,
        "seq": 1,
        "event_id": RECORD.event_id,
        "kind": "account.role_changed",
        "service": "auth",
        "occurred_time": "2026-01-31T12:00:00.000120Z",
        "clock_offset_seconds": None,
        "recorded_time": "2026-01-31T12:00:01.000000Z",
        "actor_role": "administrator",
        "object_type": "account",
        "related": {"user_id": told["related"]["user_id"], "job_id": "j"},
        "attributes": {"role": "administrator", "rows": 3},
        "personal": "sha256:" + hashlib.sha256(b"sealed").hexdigest(),
        "request_id": "r",
        "trace_id": "t",
    }
    assert made.hash == hashlib.sha256(b"mirage.audit.record.v1\0" + bytes(32) + made.text.encode()).digest()
    assert made.hash.hex() == "ea3d55d34ac4151b66e4f4627bdbc096e131c410fa2e5e26c8859709606fe0b1"


def test_nobody_in_it() -> None:
    """No person's id is in the text, and a person isn't told to be the same in two fields or two records."""
    text = chained(RECORD, KEYS, GENESIS).text
    assert ADA not in text
    assert BOB not in text
    told = json.loads(text)
    later = json.loads(chained(dataclasses.replace(RECORD, event_id="other"), KEYS, GENESIS).text)
    named = [told["owner_id"], told["object_id"], told["related"]["user_id"], later["owner_id"], later["object_id"]]
    assert len(set(named)) == len(named)


def test_commitment_opens() -> None:
    """Who has a record's key can tell whom it is about, and can't tell anybody else."""
    told = json.loads(chained(RECORD, KEYS, GENESIS).text)
    key = people.naming_key(KEYS[BOB], RECORD.event_id)
    assert told["owner_id"] == people.commitment(key, "owner_id", BOB)
    assert told["owner_id"] != people.commitment(key, "owner_id", ADA)
    assert told["owner_id"] != people.commitment(people.naming_key(KEYS[ADA], RECORD.event_id), "owner_id", BOB)


def test_missing_key() -> None:
    """A record of somebody without a key can't be made, rather than made with their id in the clear."""
    with pytest.raises(KeyError):
        chained(RECORD, {ADA: KEYS[ADA]}, GENESIS)


def test_people() -> None:
    """Everybody whom an event names is found; the platform itself is nobody."""
    assert people_of("a", "o", "account", "c", {"user_id": "u", "job_id": "j"}) == {"a", "o", "c", "u"}
    assert people_of("", "", "job", "j", {}) == frozenset()


def test_times_of_another_zone() -> None:
    """A moment has one spelling, whatever zone it is told in."""
    abroad = RECORD.occurred_time.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert chained(dataclasses.replace(RECORD, occurred_time=abroad), KEYS, GENESIS) == chained(RECORD, KEYS, GENESIS)


def test_depends_on_what_came_before() -> None:
    """The same text after another record has another hash."""
    assert record_hash(GENESIS, b"text") != record_hash(b"\1" * 32, b"text")


def test_sealed() -> None:
    """What is sealed is read with its key and record, and with no other; changed, it isn't read at all."""
    sealed = people.seal({"email": "ada@example.org", "tries": 2.0}, KEYS[ADA], "event")
    assert people.unseal(sealed, KEYS[ADA], "event") == {"email": "ada@example.org", "tries": 2}
    assert b"ada" not in sealed
    changed = bytes([*sealed[:-1], sealed[-1] ^ 1])
    ada = KEYS[ADA]
    for other in ((sealed, KEYS[BOB], "event"), (sealed, ada, "other"), (changed, ada, "event"), (b"", ada, "event")):
        with pytest.raises(people.NotOpened):
            people.unseal(*other)


def test_sealed_twice() -> None:
    """Sealing the same twice tells nobody that it was the same."""
    assert people.seal({"a": 1}, KEYS[ADA], "event") != people.seal({"a": 1}, KEYS[ADA], "event")


def test_keys_are_random() -> None:
    """A key is 32 bytes, and no two are alike."""
    assert len(people.new_key()) == 32
    assert people.new_key() != people.new_key()
