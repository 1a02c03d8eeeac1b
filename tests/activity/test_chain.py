"""The log as a chain: each record holds on to the one before, and names nobody in what is hashed."""

import asyncio
from itertools import pairwise
from uuid import UUID, uuid4

from sqlalchemy import select, update

from mirage.audit.canonical import canonical, parsed
from mirage.audit.people import unseal
from mirage.audit.record import GENESIS, record_hash
from services.activity.models import Person, Record
from tests.activity.platform import Platform, event


def assert_whole(records: list[Record]) -> None:
    """Every number is there, every hash is right, and each record names the hash before it."""
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert records[0].previous_hash == GENESIS
    for before, record in pairwise(records):
        assert record.previous_hash == before.hash
    for record in records:
        assert canonical(parsed(record.text)).decode() == record.text
        assert record.hash == record_hash(record.previous_hash, record.text.encode())


async def _keys(platform: Platform) -> dict[UUID, bytes | None]:
    async with platform.database.sessions() as session:
        return {person.person_id: person.key for person in await session.scalars(select(Person))}


async def test_a_chain_of_many_writers(platform: Platform) -> None:
    """Batches that come at once make one chain, whose texts say what the columns say."""
    await asyncio.gather(*(platform.record(*(event() for _ in range(7)), service=f"s{n}") for n in range(12)))
    records = await platform.records()
    assert len(records) == 84
    assert_whole(records)
    for record in records:
        text = parsed(record.text)
        assert (text["seq"], text["event_id"]) == (record.seq, str(record.event_id))
        assert (text["kind"], text["service"]) == (record.kind, record.service)
        assert (text["attributes"], text["related"]) == (record.attributes, record.related)


async def test_no_person_is_in_what_is_hashed(platform: Platform) -> None:
    """Ids of people are commitments in the text, and what names them is there by the hash of its sealed bytes."""
    sent = event(
        "account.updated", object_type="account", object_id=str(uuid4()), personal={"email": "ada@example.org"}
    )
    await platform.record(sent)
    [record] = await platform.records()
    for secret in (sent.actor_id, sent.owner_id, sent.object_id, "ada@example.org"):
        assert secret not in record.text
    assert b"ada@" not in record.sealed
    key = (await _keys(platform))[UUID(sent.owner_id)]
    assert key
    assert unseal(record.sealed, key, sent.event_id) == {"email": "ada@example.org"}


async def test_who_is_forgotten_is_not_named_again(platform: Platform) -> None:
    """An event that comes after somebody was forgotten is stored, without their id, without what names them."""
    first = event()
    await platform.record(first)
    person = UUID(first.owner_id)
    async with platform.database.sessions.begin() as session:
        await session.execute(update(Person).where(Person.person_id == person).values(key=None))
    late = event(
        "account.deleted",
        actor_id=first.owner_id,
        owner_id=first.owner_id,
        object_type="account",
        object_id=first.owner_id,
        related={"user_id": first.owner_id, "job_id": "7"},
    )
    other = event()
    await platform.record(late, other)
    [_, record, behind] = await platform.records()
    assert (record.actor_id, record.owner_id, record.sealed) == (None, None, b"")
    text = parsed(record.text)
    assert record.object_id == text["object_id"] != first.owner_id
    assert record.related == text["related"] == {"user_id": text["related"]["user_id"], "job_id": "7"}
    assert first.owner_id not in str(vars(record))
    assert (await _keys(platform))[person] is None
    assert str(behind.owner_id) == other.owner_id
    assert_whole(await platform.records())


async def test_what_belongs_to_nobody_is_sealed_too(platform: Platform) -> None:
    """A sign-in to no account names an address, which nobody reads without the log's own key."""
    sent = event("sign_in.failed", actor_id="", owner_id="", object_type="", object_id="", personal={"address": "::1"})
    await platform.record(sent)
    [record] = await platform.records()
    key = (await _keys(platform))[UUID(int=0)]
    assert key
    assert unseal(record.sealed, key, sent.event_id) == {"address": "::1"}
