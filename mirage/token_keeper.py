"""Keeps a user signed in."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread

from mirage.auth.v1 import session_pb2
from mirage.credentials import CredentialStore, Tokens
from mirage.errors import NotSignedIn

# A token this close to its end is renewed before it is used.
RENEW_BEFORE_END_S = 60.0


class TokenKeeper:
    """Gives out access tokens and renews them.

    A refresh token is good for one use, and using it twice ends the session, so whoever renews holds the store's lock,
    looks whether somebody else has just done it, and can't be cancelled between the platform's answer and keeping it.
    """

    def __init__(
        self, url: str, store: CredentialStore, refresh: Callable[[str], Awaitable[session_pb2.TokenPair]]
    ) -> None:
        self._url = url
        self._store = store
        self._refresh = refresh
        self._renewing = anyio.Lock()

    @property
    def email(self) -> str | None:
        """Who is signed in; nobody if None."""
        tokens = self._store.load(self._url)
        return tokens.email if tokens else None

    async def keep(self, pair: session_pb2.TokenPair, email: str) -> None:
        """Takes the tokens of somebody who signed in."""
        async with self._exclusive():
            self._store.save(self._url, _tokens(pair, email))

    async def forget(self) -> None:
        """Drops the tokens."""
        async with self._exclusive():
            self._store.remove(self._url)

    async def access_token(self) -> str:
        """Returns a token that is good for a while.

        Raises:
            NotSignedIn: if nobody is signed in, or the session has ended.
        """
        tokens = self._load()
        return tokens.access_token if _lasts(tokens) else await self.renew(tokens.access_token)

    async def renew(self, spent: str) -> str:
        """Returns a token other than `spent`, which has expired or was refused.

        Raises:
            NotSignedIn: if the session has ended.
        """
        # A task of its own: cancelling the call mustn't lose tokens that are on their way.
        renewal = asyncio.create_task(self._renew(spent))
        renewal.add_done_callback(_take_note)
        return await asyncio.shield(renewal)

    async def _renew(self, spent: str) -> str:
        async with self._exclusive():
            tokens = self._load()
            if tokens.access_token == spent or not _lasts(tokens):
                tokens = await self._renewed(tokens)
        return tokens.access_token

    async def _renewed(self, tokens: Tokens) -> Tokens:
        try:
            pair = await self._refresh(tokens.refresh_token)
        except NotSignedIn:
            self._store.remove(self._url)
            raise NotSignedIn("Your session has ended.", reason="SESSION_ENDED") from None
        renewed = _tokens(pair, tokens.email)
        self._store.save(self._url, renewed)
        return renewed

    def _load(self) -> Tokens:
        tokens = self._store.load(self._url)
        if tokens is None:
            raise NotSignedIn(f"You are not signed in to {self._url}.", reason="NOT_SIGNED_IN")
        return tokens

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        async with self._renewing:
            lock = self._store.locked()
            await to_thread.run_sync(lock.__enter__)
            try:
                yield
            finally:
                lock.__exit__(None, None, None)


def _take_note(renewal: "asyncio.Task[str]") -> None:
    """Looks at a failure that nobody waits for any more, so that asyncio doesn't complain of it."""
    if not renewal.cancelled():
        renewal.exception()


def _lasts(tokens: Tokens) -> bool:
    return tokens.expire_time - time.time() > RENEW_BEFORE_END_S


def _tokens(pair: session_pb2.TokenPair, email: str) -> Tokens:
    return Tokens(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        expire_time=time.time() + pair.expires_in,
        email=email,
    )
