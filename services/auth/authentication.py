"""How auth itself checks a token: by its own keys, and by the session behind it, which only auth can see."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from uuid import UUID

from servicekit.access import Role
from servicekit.database import Database
from servicekit.identity import Caller, TokenKind, TokenVerifier
from servicekit.security import SecurityEvent, report
from servicekit.timestamps import utc_now
from services.auth import repository
from services.auth.errors import SessionEnded


class SessionAuthenticator:
    """Turns an access token into a caller whose session or API key is live and whose role is the one in force."""

    def __init__(self, verifier: TokenVerifier, database: Database) -> None:
        self._verifier = verifier
        self._database = database

    async def authenticate(self, token: str, kind: TokenKind = TokenKind.ACCESS) -> Caller:
        """Checks a token. One query by primary key; none for a service's.

        Raises:
            Unauthenticated: the token is malformed, forged or expired.
            SessionEnded: its session is over, its API key deleted, or its account switched off or deleted.
        """
        caller = await self._verifier.authenticate(token, kind)
        if caller.role is Role.SERVICE:
            return caller
        try:
            session_id = UUID(caller.session_id)
        except ValueError:
            raise SessionEnded from None
        async with self._database.sessions() as session:
            role = await repository.live_role(session, caller.user_id, session_id, utc_now())
        if role is None:
            report(SecurityEvent.TOKEN_REVOKED, subject=caller.subject, session_id=caller.session_id)
            raise SessionEnded
        return replace(caller, role=role)

    def until_revoked(self, _current: Caller, _revoked: Callable[[], None], /) -> AbstractContextManager[None]:
        """Watches for nothing: no stream of auth's is for people."""
        return nullcontext()
