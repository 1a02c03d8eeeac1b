"""Makes notifications of the log's records: a view of the log, which follows it by the numbers of its records.

What is made of a record, and how far the view has come, are written in one transaction, so that a record makes its
notifications once, whoever dies in between. One process at a time makes them; the others look again later.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.audit.people import NotOpened, unseal
from servicekit.access import Role
from servicekit.event_kinds import EventKind
from servicekit.ids import new_id
from servicekit.listen import Listener
from servicekit.timestamps import utc_now
from services.activity import repository as log_repository
from services.activity.models import Notification, Record
from services.activity.notifying import deliveries, repository
from services.activity.notifying.kinds import COUNTED_OVER, RULES, Happened, NotificationKind, default_preference
from services.activity.notifying.texts import Text, text_of
from services.activity.repository import NEW, RECORDS_CHANNEL

log = structlog.get_logger(__name__)

_LOOK_S = 5.0  # announcements may be lost, and whoever held the view may have died
_PAUSE_S = 1.0


class _Wanted(NamedTuple):
    """A notification to be made, if its receiver wants it."""

    receiver: UUID
    kind: NotificationKind
    notification: Notification


class Notifier:
    """Makes notifications, for as long as `keep` runs."""

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], listener: Listener, outlets: deliveries.Outlets, batch: int
    ) -> None:
        """`batch` is how many records are taken at once."""
        self._sessions = sessions
        self._listener = listener
        self._outlets = outlets
        self._batch = batch

    async def keep(self) -> None:
        """Makes notifications until it is cancelled, also where the database is away now and then."""
        async with self._listener.subscribe(RECORDS_CHANNEL, NEW) as subscription:
            while True:
                try:
                    while await self.step():
                        pass
                except Exception:  # whatever it is: people must be told in the end
                    log.exception("notifying_failed")
                    await asyncio.sleep(_PAUSE_S)
                else:
                    await subscription.wait(_LOOK_S)

    async def step(self) -> bool:
        """Takes the next records; returns whether there may be more."""
        async with self._sessions.begin() as session:
            seen = await repository.lock_view(session)
            if seen is None:
                return False
            end = await repository.last_seq(session)  # before the records are read: all up to it are there
            records = await repository.next_records(session, seen, self._batch)
            full = len(records) == self._batch
            made = await self._made(session, [record for record in records if full or record.seq <= end])
            await repository.add(session, made)
            if (reached := records[-1].seq if full else max(seen, end)) != seen:
                await repository.advance_view(session, reached)
            return full

    async def _made(self, session: AsyncSession, records: Sequence[Record]) -> list[Notification]:
        """What is to be told of some records, with its delivery."""
        opened = await _opened(session, records)
        wanted: list[_Wanted] = []
        for record in records:
            await _note_role(session, record)
            wanted += await _wanted(session, record, opened.get(record.seq, {}))
        receivers = {each.receiver for each in wanted}
        said = await repository.preferences(session, receivers)
        browsers = await self._outlets.browsers(session, receivers)
        made = []
        for receiver, kind, notification in wanted:
            preference = said.get((receiver, kind), default_preference(kind))
            if preference.enabled:
                made.append(notification)
                await self._outlets.order(session, notification, preference, browsers.get(receiver, ()))
        return made


async def _opened(session: AsyncSession, records: Iterable[Record]) -> Mapping[int, Mapping[str, object]]:
    """What is sealed in records, as far as its people's keys are there, by the records' numbers."""
    sealed = [(record, _person(record)) for record in records if record.sealed]
    keys = await log_repository.keys_of(session, {person for _, person in sealed})
    opened = {}
    for record, person in sealed:
        if key := keys.get(person):
            try:
                opened[record.seq] = unseal(record.sealed, key, str(record.event_id))
            except NotOpened:  # changed behind our back: whoever verifies the log is told where
                log.warning("record_not_opened", seq=record.seq)
    return opened


def _person(record: Record) -> UUID:
    """Whose key what is personal in a record is sealed with."""
    if record.owner_id is not None:
        return record.owner_id
    if record.object_type == "account":
        return UUID(record.object_id)
    return record.actor_id or UUID(int=0)


async def _note_role(session: AsyncSession, record: Record) -> None:
    if record.owner_id is None:
        return
    if record.kind in (EventKind.ACCOUNT_REGISTERED, EventKind.ACCOUNT_ROLE_CHANGED):
        administers = record.attributes.get("role") == Role.ADMINISTRATOR
        await repository.note_role(session, record.owner_id, administers=administers)
    elif record.kind == EventKind.ACCOUNT_DELETED:
        await repository.note_role(session, record.owner_id, administers=False)


async def _wanted(session: AsyncSession, record: Record, personal: Mapping[str, object]) -> list[_Wanted]:
    """The notifications that a record would make."""
    rule = RULES.get(record.kind)
    happened = _happened(record, personal)
    if rule is None or not rule.applies(happened):
        return []
    if rule.at_count > 1 and await repository.count_before(session, record, COUNTED_OVER) + 1 != rule.at_count:
        return []
    receivers = {record.owner_id} if record.owner_id is not None else set()
    if rule.to_administrators:
        receivers = await repository.administrators(session) - receivers
    text = text_of(happened)
    return [
        _Wanted(receiver, rule.kind, _notification(record, receiver, rule.kind, text)) for receiver in sorted(receivers)
    ]


def _notification(record: Record, receiver: UUID, kind: NotificationKind, text: Text) -> Notification:
    return Notification(
        id=new_id(),
        owner_id=receiver,
        seq=record.seq,
        kind=kind,
        title=text.title,
        body=text.body,
        object_type=record.object_type,
        object_id=record.object_id,
        created_at=utc_now(),
        read_at=None,
    )


def _happened(record: Record, personal: Mapping[str, object]) -> Happened:
    return Happened(
        kind=record.kind,
        actor_id=str(record.actor_id or ""),
        owner_id=str(record.owner_id or ""),
        object_type=record.object_type,
        object_id=record.object_id,
        related=record.related,
        attributes=record.attributes,
        personal=personal,
    )
