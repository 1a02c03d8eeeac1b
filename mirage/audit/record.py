"""A record of the log: what of an event is hashed, in which spelling, and how one record holds on to the one before.

A log keeps of each record its fields as columns, the canonical text, the hash before and the hash; of people the ids
are columns too, until the person is forgotten and their key destroyed: then those columns are emptied, or hold what the
text holds.

The hash of a record is SHA-256 over a tag, the hash of the record before (32 zero bytes for the first), and the
record's canonical text. In that text no person is named: where an event has a person's id the text has a commitment,
and of what names them it has the hash of the sealed bytes (`mirage.audit.people`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mirage.audit.canonical import canonical, normalised
from mirage.audit.people import commitment, naming_key, sealed_digest

GENESIS = bytes(32)
"""What stands for the hash of the record before the first."""

_TAG = b"mirage.audit.record.v1\0"
_VERSION = 1
_ACCOUNT = "account"
RELATED_PEOPLE = frozenset({"account_id", "actor_id", "administrator_id", "owner_id", "user_id"})
"""Members of `related` that name a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An event that has its place in the log; its texts are without U+0000, as PostgreSQL wants them."""

    seq: int  # 1 for the first; no number is left out
    event_id: str
    kind: str  # such as job.succeeded
    service: str  # the source: the service that told
    occurred_time: datetime  # the source's clock; aware
    recorded_time: datetime  # the log's clock; aware
    clock_offset_seconds: float | None = None  # how far the source's clock is ahead, where that is more than a little
    actor_id: str = ""  # empty: the platform itself
    actor_role: str = ""
    owner_id: str = ""
    object_type: str = ""
    object_id: str = ""
    related: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)  # normalised (`mirage.audit.canonical`)
    sealed: bytes = b""  # what names somebody, sealed (`mirage.audit.people.seal`)
    request_id: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Chained:
    """A record's place in the chain."""

    text: str  # the canonical text that is hashed; kept as it is, beside the columns that it must equal
    previous_hash: bytes
    hash: bytes


def people_of(
    actor_id: str, owner_id: str, object_type: str, object_id: str, related: Mapping[str, str]
) -> frozenset[str]:
    """The ids of the people whom an event names: a record of it needs the key of each."""
    people = {actor_id, owner_id, *(person for name, person in related.items() if name in RELATED_PEOPLE)}
    if object_type == _ACCOUNT:
        people.add(object_id)
    return frozenset(people - {""})


def chained(record: Record, keys: Mapping[str, bytes], previous_hash: bytes) -> Chained:
    """Gives a record its hash.

    Args:
        record: the record.
        keys: the key of each of `people_of`.
        previous_hash: that of the record before; `GENESIS` for the first.

    Raises:
        KeyError: a person's key is missing.
    """
    text = canonical(content(record, keys))
    return Chained(text.decode(), previous_hash, record_hash(previous_hash, text))


def record_hash(previous_hash: bytes, text: bytes) -> bytes:
    """The hash of a record: SHA-256, 32 bytes."""
    return hashlib.sha256(_TAG + previous_hash + text).digest()


def content(record: Record, keys: Mapping[str, bytes]) -> dict[str, Any]:
    """What of a record is hashed, as a JSON object.

    Raises:
        KeyError: a person's key is missing.
    """
    people = people_of(record.actor_id, record.owner_id, record.object_type, record.object_id, record.related)
    record_keys = {person: naming_key(keys[person], record.event_id) for person in people}

    def named(place: str, value: str) -> str:
        return commitment(record_keys[value], place, value) if value in record_keys else value

    return {
        "version": _VERSION,
        "seq": record.seq,
        "event_id": record.event_id,
        "kind": record.kind,
        "service": record.service,
        "occurred_time": moment(record.occurred_time),
        "recorded_time": moment(record.recorded_time),
        "clock_offset_seconds": normalised(record.clock_offset_seconds),
        "actor_id": named("actor_id", record.actor_id),
        "actor_role": record.actor_role,
        "owner_id": named("owner_id", record.owner_id),
        "object_type": record.object_type,
        "object_id": named("object_id", record.object_id),
        "related": {name: named(f"related.{name}", value) for name, value in record.related.items()},
        "attributes": normalised(record.attributes),
        "personal": sealed_digest(record.sealed),
        "request_id": record.request_id,
        "trace_id": record.trace_id,
    }


def moment(time: datetime) -> str:
    """A time as it is hashed: RFC 3339 in UTC with exactly six digits of a second."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
