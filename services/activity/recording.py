"""Adding to the log: what happened, each event once, in one order that all agree on."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.event_kinds import KNOWN
from servicekit.timestamps import utc_now
from services.activity import repository
from services.activity.convert import Happening

log = structlog.get_logger(__name__)

_CLOCK_TOLERANCE_S = 60.0  # less than that is a slow network, or two clocks as they are


class Outcome(NamedTuple):
    """What became of events."""

    recorded: int
    known: int  # were there before


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
        await repository.add_records(
            session,
            added,
            service=service,
            after=head.seq,
            recorded_time=max(now, head.recorded_time) if head.recorded_time else now,
            clock_offset_seconds=offset,
        )
        for kind in sorted({happening.kind for happening in added} - KNOWN):
            log.warning("unknown_event_kind", kind=kind, service_name=service)
    return Outcome(len(added), len(happenings) - len(added))


def _clock_offset_s(service: str, sent_time: datetime | None, now: datetime) -> float | None:
    """How many seconds a source's clock is ahead of ours; None where that is within the tolerance, or not known."""
    offset = (sent_time - now).total_seconds() if sent_time else 0.0
    if abs(offset) <= _CLOCK_TOLERANCE_S:
        return None
    log.warning("clock_off", service_name=service, offset_seconds=round(offset, 1))
    return offset
