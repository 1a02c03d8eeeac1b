"""Ends of accounts: at once here, and then seen through in every other service until nothing is left.

What is to be done is written down with the end itself, so whatever dies or is away meanwhile, somebody goes on with it.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc.aio
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import outbox
from servicekit.database import Database
from servicekit.errors import InvalidRequest, ServiceError, Violation
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from servicekit.patience import DATABASE_ERRORS
from servicekit.timestamps import utc_now
from services.auth import deletion_repository, events, repository, revocations
from services.auth.deletion_repository import Step
from services.auth.holders import Found, Holder
from services.auth.models import AccountDeletion, Requester, User

log = structlog.get_logger(__name__)

# The log of what happened comes last: until then others may still have something to tell it.
LAST = ("activity",)

_LOOK_S = 1.0
_CALL_S = 20.0
_LEASE = timedelta(seconds=_CALL_S + 5)
_PAUSE = timedelta(seconds=0.5)
_LONGEST_PAUSE_S = 10.0
_AT_ONCE = 16


class Deletions:
    """Ends accounts, and knows how far each end is."""

    def __init__(self, database: Database, services: Sequence[str]) -> None:
        """Takes the names of the services that hold what is users'."""
        self._database = database
        self._services = services
        self.begun = asyncio.Event()

    async def begin(self, session: AsyncSession, user: User, requested_by: Requester) -> UUID:
        """Ends a locked account in a transaction, of which this is the last thing to do; returns the deletion's id.

        Its tokens are revoked by session and key, not by account: so nothing has to go on naming the user.
        """
        now = utc_now()
        issuers = await deletion_repository.issuer_ids(session, user.id)
        deletion_id = await deletion_repository.add(session, user.id, requested_by, self._services, now)
        await events.account_deleted(session, user)
        await repository.delete_user(session, user)
        await revocations.revoke_sessions(session, issuers, "account_deleted")
        await deletion_repository.forget_revocations_of(session, user.id)
        return deletion_id

    async def page(self, page_size: int, page_token: str, *, unfinished: bool) -> tuple[Sequence[AccountDeletion], str]:
        """Ends of accounts, the latest first, and the token of the next page.

        Raises:
            InvalidRequest: the page size or the page token is wrong.
        """
        limit = page_limit(page_size)
        query = {"list": "account_deletions", "unfinished": unfinished}
        before = _key(decode_page_token(page_token, query))
        async with self._database.sessions() as session:
            found = await deletion_repository.page(session, unfinished=unfinished, before=before, limit=limit + 1)
        shown = found[:limit]
        return shown, encode_page_token(query, {"id": str(shown[-1].id)}) if len(found) > limit else ""


class DeletionDriver:
    """Sees ends of accounts through; any number of processes may."""

    def __init__(self, database: Database, holders: Sequence[Holder], settle: timedelta, begun: asyncio.Event) -> None:
        """`settle` after an account's end nobody goes on in its name; `begun` tells that there is something to do."""
        self._database = database
        self._holders: Mapping[str, Holder] = {holder.name: holder for holder in holders}
        self._settle = settle
        self._begun = begun

    async def drive(self) -> None:
        """Asks services, again and again; ends by being cancelled."""
        while True:
            try:
                busy = await self._round()
            except DATABASE_ERRORS as error:
                log.warning("deletions_not_driven", error=type(error).__name__)
                busy = False
            except Exception:  # whatever it is, ends of accounts must go on
                log.exception("deletions_not_driven")
                busy = False
            if not busy:
                await self._until_due()

    async def _round(self) -> bool:
        async with self._database.sessions.begin() as session:
            steps = await deletion_repository.claim(session, LAST, _LEASE, _AT_ONCE)
        await asyncio.gather(*(self._take(step) for step in steps))
        return bool(steps)

    async def _take(self, step: Step) -> None:
        holder = self._holders.get(step.service)
        try:
            if holder is None:
                raise _NotConfigured(step.service)
            found = await self._ask(holder, step)
        except (ServiceError, grpc.aio.AioRpcError) as error:
            reason = error.reason if isinstance(error, ServiceError) else error.code().name
            log.warning("holdings_not_deleted", target_user_id=str(step.user_id), at=step.service, reason=reason)
            async with self._database.sessions.begin() as session:
                await deletion_repository.note_failure(session, step, reason, _pause(step.failures))
            return
        async with self._database.sessions.begin() as session:
            done = await deletion_repository.note_answer(
                session, step, found=found.found, pending=found.pending, settle=self._settle, pause=_PAUSE
            )
        if done:
            async with self._database.sessions.begin() as session:
                finished = await deletion_repository.finish(session, step.deletion_id, utc_now())
            if finished:
                log.info("account_deletion_finished", deletion_id=str(step.deletion_id))

    async def _ask(self, holder: Holder, step: Step) -> Found:
        if step.service in LAST:
            async with self._database.sessions.begin() as session:
                untold = await outbox.settle(session, step.user_id)
            if untold:
                return Found(0, untold)
        return await holder.delete(step.user_id, _CALL_S)

    async def _until_due(self) -> None:
        self._begun.clear()
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._begun.wait()
        except TimeoutError:
            return


def _pause(failures: int) -> timedelta:
    """How long to wait after another failure: longer each time, up to ten seconds, and never all at once."""
    longest_s = min(0.5 * 2.0 ** min(failures, 10), _LONGEST_PAUSE_S)
    return timedelta(seconds=random.uniform(0.5, 1.0) * longest_s)  # noqa: S311 - not a secret


class _NotConfigured(ServiceError):
    """This process wasn't told where a service is."""

    reason = "NOT_CONFIGURED"

    def __init__(self, service: str) -> None:
        super().__init__(f"The address of the {service} service isn't set.")


def _key(key: dict[str, Any] | None) -> UUID | None:
    if key is None:
        return None
    try:
        return UUID(key["id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidRequest([Violation("page_token", "must be a next_page_token, unchanged")]) from None
