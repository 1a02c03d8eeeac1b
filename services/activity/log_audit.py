"""Checking the whole log: every record, and every checkpoint."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.audit import checkpoint, signing
from mirage.audit.checking import Fault, LogCheck, Row, Verdict
from mirage.audit.checkpoint import Checkpoint
from services.activity import audit_repository as repository
from services.activity.audit_keys import AuditKeys
from services.activity.checkpoints import Checkpoints, LogDamaged

log = structlog.get_logger(__name__)

_ROWS_AT_ONCE = 2_000


class LogAudit:
    """Checks the log whenever somebody asks; who asks at the same time shares one check."""

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], keys: AuditKeys, signing_checkpoints: Checkpoints
    ) -> None:
        self._sessions = sessions
        self._keys = keys
        self._checkpoints = signing_checkpoints
        self._turn = asyncio.Lock()
        self._waiting: asyncio.Task[Verdict] | None = None

    async def verdict(self) -> Verdict:
        """Checks the log as it is now: what was changed before this was called is found."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._next(), name="log-audit")
        # Whoever goes away takes the check from nobody else.
        return await asyncio.shield(self._waiting)

    async def _next(self) -> Verdict:
        """Waits for the check that runs, which may be past what has been changed meanwhile, and makes another."""
        async with self._turn:
            self._waiting = None
            verdict = await self._check()
        if verdict.fault is not None:
            log.error("log_not_intact", reason=verdict.fault.reason, seq=verdict.fault.first_seq)
        return verdict

    async def _check(self) -> Verdict:
        await asyncio.to_thread(self._keys.refresh)
        with contextlib.suppress(LogDamaged):  # what is wrong is what is looked for here
            await self._checkpoints.sign_all()
        async with self._sessions() as session:
            tokens = [(kept.size, kept.token) for kept in await repository.checkpoints(session)]
            last = await repository.last_seq(session)
            keys = await repository.keys_of_people(session)
        signed, unsigned = await asyncio.to_thread(self._verified, tokens)
        check = LogCheck(keys, signed)
        rows = await self._rows(0, last)
        while rows:
            # While some are checked the database is asked for the next.
            following = asyncio.create_task(self._rows(rows[-1].seq, last))
            going_on = await asyncio.to_thread(check.add, rows)
            rows = await following if going_on else await _nothing_of(following)
        verdict = check.finish()
        if unsigned is not None and (verdict.fault is None or unsigned.first_seq < verdict.fault.first_seq):
            return Verdict(verdict.records, verdict.signed_records, verdict.checkpoints, unsigned)
        return verdict

    async def _rows(self, after: int, last: int) -> Sequence[Row]:
        async with self._sessions() as session:
            return await repository.rows(session, after, last, _ROWS_AT_ONCE)

    def _verified(self, tokens: Iterable[tuple[int, str]]) -> tuple[list[Checkpoint], Fault | None]:
        """The checkpoints that are the platform's, and the first of those that aren't."""
        keys = self._keys.public
        signed: list[Checkpoint] = []
        fault = None
        for size, token in tokens:
            try:
                signed.append(_of_size(checkpoint.verified(token, keys), size))
            except signing.NotSigned as error:
                first = signed[-1].size + 1 if signed else 1
                description = f"The checkpoint of the records {first} to {size}: {error}"
                fault = fault or Fault(first, max(first, size), "CHECKPOINT_FORGED", description)
        # What was signed and has vanished from the database with its checkpoint is still expected.
        with contextlib.suppress(signing.NotSigned):
            latest = checkpoint.verified(self._keys.latest, keys)
            if latest.size not in {found.size for found in signed}:
                signed.append(latest)
        return signed, fault


async def _nothing_of(reading: asyncio.Task[Sequence[Row]]) -> Sequence[Row]:
    """Lets what was asked for too much come to its end, so that its connection can be used again."""
    await reading
    return ()


def _of_size(found: Checkpoint, size: int) -> Checkpoint:
    if found.size != size:
        raise signing.NotSigned(f"It is the one of {found.size} records.")
    return found
