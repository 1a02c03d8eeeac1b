"""The keys of the people whom the log names: made when somebody is named first, gone when they are forgotten."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mirage.audit.people import new_key
from services.activity import repository
from services.activity.convert import Happening

NOBODY = str(UUID(int=0))
"""Under whose key is what belongs to nobody who is known, such as where a sign-in to no account came from."""


def alias_of(person_id: UUID) -> UUID:
    """By what is known of somebody that they were forgotten: only who knows the id can tell that it is theirs."""
    return UUID(bytes=hashlib.sha256(b"forgotten:" + person_id.bytes).digest()[:16])


class Keys(NamedTuple):
    """Keys by which records are made."""

    of: dict[str, bytes]  # a person's id → 32 bytes
    forgotten: frozenset[str]  # of whom nothing may be kept; their keys here are used once, and by nobody again


async def keys_for(session: AsyncSession, happenings: Sequence[Happening]) -> Keys:
    """The keys of all people whom some events name, made where there were none; the log is locked."""
    people = {UUID(NOBODY)}.union(*(map(UUID, happening.people) for happening in happenings))
    known = await repository.keys_of(session, [*people, *map(alias_of, people)])
    kept = {person: known[each] for person in people for each in (alias_of(person), person) if each in known}
    if added := {person: new_key() for person in sorted(people - kept.keys())}:
        await repository.add_people(session, added)
    forgotten = {person: new_key() for person, key in kept.items() if key is None}
    return Keys(
        {str(person): key for person, key in {**kept, **added, **forgotten}.items() if key is not None},
        frozenset(map(str, forgotten)),
    )
