"""Adding to the log: what happened, each event once, in one order that all agree on, each chained to the one before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from mirage.audit.people import seal
from mirage.audit.record import Record, chained, content
from servicekit.event_kinds import KNOWN
from servicekit.timestamps import utc_now
from services.activity import repository
from services.activity.convert import Happening
from services.activity.people import NOBODY, Keys, keys_for

log = structlog.get_logger(__name__)

_CLOCK_TOLERANCE_S = 60.0  # less than that is a slow network, or two clocks as they are


class Outcome(NamedTuple):
    """What became of events."""

    recorded: int
    known: int  # were there before


class Place(NamedTuple):
    """Where and how an event came into the log."""

    seq: int
    service: str  # the source
    recorded_time: datetime
    clock_offset_seconds: float | None


async def record(
    session: AsyncSession, service: str, happenings: Sequence[Happening], sent_time: datetime | None = None
) -> Outcome:
    """Adds the events of a service that aren't in the log yet.

    Their order is that of arrival: what a source's clock says is kept beside it and decides nothing. By `sent_time`,
    the source's clock now, one that is off is told from events that were held up.
    """
    distinct = {happening.event_id: happening for happening in happenings}
    head = await repository.lock_log(session)
    known = await repository.known_events(session, distinct.keys())
    added = [happening for event_id, happening in distinct.items() if event_id not in known]
    if added:
        now = utc_now()
        offset = _clock_offset_s(service, sent_time, now)
        if head.recorded_time:  # our own clock may have been set back
            now = max(now, head.recorded_time)
        keys = await keys_for(session, added)
        records, chain = [], []
        previous_hash = head.hash
        for seq, happening in enumerate(added, head.seq + 1):
            made = _record(happening, keys, Place(seq, service, now, offset))
            link = chained(made, keys.of, previous_hash)
            previous_hash = link.hash
            records.append(_without_forgotten(made, keys))
            chain.append(link)
        await repository.add_records(session, records, chain)
        for kind in sorted({happening.kind for happening in added} - KNOWN):
            log.warning("unknown_event_kind", kind=kind, service_name=service)
    return Outcome(len(added), len(happenings) - len(added))


def _record(happening: Happening, keys: Keys, place: Place) -> Record:
    person = happening.person or NOBODY
    event_id = str(happening.event_id)
    is_sealed = happening.personal and person not in keys.forgotten
    return Record(
        seq=place.seq,
        event_id=event_id,
        kind=happening.kind,
        service=place.service,
        occurred_time=happening.occurred_time,
        recorded_time=place.recorded_time,
        clock_offset_seconds=place.clock_offset_seconds,
        actor_id=happening.actor_id,
        actor_role=happening.actor_role,
        owner_id=happening.owner_id,
        object_type=happening.object_type,
        object_id=happening.object_id,
        related=happening.related,
        attributes=happening.attributes,
        sealed=seal(happening.personal, keys.of[person], event_id) if is_sealed else b"",
        request_id=happening.request_id,
        trace_id=happening.trace_id,
    )


def _without_forgotten(made: Record, keys: Keys) -> Record:
    """The record as its columns hold it: where the text names somebody who is forgotten, so do they."""
    if not keys.forgotten:
        return made
    text = content(made, keys.of)

    def shown(value: str, committed: str) -> str:
        return committed if value in keys.forgotten else value

    return replace(
        made,
        actor_id="" if made.actor_id in keys.forgotten else made.actor_id,
        owner_id="" if made.owner_id in keys.forgotten else made.owner_id,
        object_id=shown(made.object_id, text["object_id"]),
        related={name: shown(value, text["related"][name]) for name, value in made.related.items()},
    )


def _clock_offset_s(service: str, sent_time: datetime | None, now: datetime) -> float | None:
    """How many seconds a source's clock is ahead of ours; None where that is within the tolerance, or not known."""
    offset = (sent_time - now).total_seconds() if sent_time else 0.0
    if abs(offset) <= _CLOCK_TOLERANCE_S:
        return None
    log.warning("clock_off", service_name=service, offset_seconds=round(offset, 1))
    return offset
