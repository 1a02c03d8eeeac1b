"""Signing the log's end again and again, and proving single records by what was signed."""

import asyncio
from collections.abc import Iterable
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.audit import checkpoint, signing
from mirage.audit.checking import LogCheck, Row
from mirage.audit.checkpoint import Checkpoint
from servicekit.timestamps import utc_now
from services.activity import audit_repository as repository
from services.activity.audit_keys import AuditKeys

log = structlog.get_logger(__name__)

# Records that one checkpoint covers beyond the one before, at most: what proves one of them is computed from these.
LARGEST_STEP = 1_000


class LogDamaged(Exception):
    """What was to be signed isn't what was signed before, or doesn't hold together; the message says where."""


class Checkpoints:
    """Signs the end of the log: everything that is new, in steps."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], keys: AuditKeys) -> None:
        self._sessions = sessions
        self._keys = keys

    async def keep_signing(self, every_s: float) -> None:
        """Signs what is new, again and again; ends by being cancelled."""
        damage = ""
        while True:
            await asyncio.sleep(every_s)
            try:
                await asyncio.to_thread(self._keys.refresh)
                await self.sign_all()
                damage = ""
            except LogDamaged as error:
                if str(error) != damage:  # told once
                    log.error("log_damaged", error=str(error))  # noqa: TRY400 - what is wrong is in the message
                damage = str(error)
            except Exception as error:  # whatever it is, signing must not end
                log.warning("log_not_signed", error=type(error).__name__)

    async def sign_all(self) -> None:
        """Signs every record that there is.

        Raises:
            LogDamaged: the log isn't what was signed before, or doesn't hold together; no more of it is signed.
        """
        while await self._sign_some():
            pass

    async def _sign_some(self) -> bool:
        """Signs the next records; returns whether there may be more."""
        async with self._sessions.begin() as session:
            await repository.lock_checkpoints(session)
            newest = await repository.newest_checkpoint(session)
            before = self._trusted(newest.token) if newest else None
            size = before.size if before else 0
            last = await repository.last_seq(session)
            self._not_shortened(size, last)
            rows = await repository.rows(session, size, last, LARGEST_STEP)
            if not rows:
                return False
            # Signing what was changed before it was signed would make it look right for ever.
            check = LogCheck(await repository.keys_of_people(session, people_in(rows)), after=before)
            await asyncio.to_thread(check.add, rows)
            if fault := check.finish().fault:
                raise LogDamaged(fault.description)
            token = checkpoint.sign(check.frontier, rows[-1].hash, utc_now(), self._keys.signing_key)
            await repository.add_checkpoint(session, check.frontier.size, token)
        await asyncio.to_thread(self._keys.keep, token)
        return len(rows) == LARGEST_STEP

    def _trusted(self, token: str) -> Checkpoint:
        try:
            return checkpoint.verified(token, self._keys.public)
        except signing.NotSigned as error:
            raise LogDamaged(f"The newest checkpoint: {error}") from None

    def _not_shortened(self, size: int, last: int) -> None:
        """A log that lost its end, with what was signed of it, must not be signed on as if nothing had been."""
        if not self._keys.latest:
            return
        latest = self._trusted(self._keys.latest)
        if latest.size > min(size, last):
            raise LogDamaged(f"The log ends at record {last}, but {latest.size} records were signed.")


def people_in(rows: Iterable[Row]) -> set[UUID]:
    """The people whom some records name in the clear; what isn't an id, as a tampered column may be, is nobody's."""
    people = set()
    for person in frozenset[str]().union(*(row.people for row in rows)):
        try:
            people.add(UUID(person))
        except ValueError:
            continue
    return people
