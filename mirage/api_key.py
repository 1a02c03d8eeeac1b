"""Uses an API key: trades it for access tokens, by itself and in time."""

import os
import time
from collections.abc import Awaitable, Callable

import anyio

from mirage.auth.v1 import api_key_pb2
from mirage.errors import InvalidRequest, NotSignedIn
from mirage.token_keeper import RENEW_BEFORE_END_S

API_KEY_VARIABLE = "MIRAGE_API_KEY"

_HINT = f"Make a new key with `mirage api-keys create`; without {API_KEY_VARIABLE} your own session counts."


class ApiKeyTokens:
    """Gives out access tokens made from a key, as `TokenKeeper` does those of a session. Keeps them in memory only."""

    email: str | None = None
    """A key tells nobody's address."""

    def __init__(self, key: str, exchange: Callable[[str], Awaitable[api_key_pb2.ApiKeyToken]]) -> None:
        self._key = key
        self._exchange = exchange
        self._token = ""
        self._expire_time = 0.0
        self._renewing = anyio.Lock()

    async def access_token(self) -> str:
        """Returns a token that is good for a while.

        Raises:
            NotSignedIn: if the key is not good.
        """
        return self._token if self._lasts() else await self.renew(self._token)

    async def renew(self, spent: str) -> str:
        """Returns a token other than `spent`, which has expired or was refused.

        Raises:
            NotSignedIn: if the key is not good.
        """
        async with self._renewing:
            if self._token == spent or not self._lasts():
                await self._renew()
            return self._token

    async def _renew(self) -> None:
        try:
            answer = await self._exchange(self._key)
        except NotSignedIn as error:
            raise NotSignedIn(error.message, reason=error.reason, hint=_HINT) from None
        self._token = answer.access_token
        # A token of a key that ends soon is short: it is used for most of its time all the same.
        self._expire_time = time.time() + max(answer.expires_in - RENEW_BEFORE_END_S, answer.expires_in / 2)

    def _lasts(self) -> bool:
        return bool(self._token) and time.time() < self._expire_time


def read_api_key(given: str | None) -> str:
    """Returns the key to use: the one that is given, or what the environment says where none is; empty for none.

    Raises:
        InvalidRequest: if it can't be a key.
    """
    key = (os.environ.get(API_KEY_VARIABLE, "") if given is None else given).strip()
    if not key.isascii() or any(letter.isspace() for letter in key):
        raise InvalidRequest(
            "What is given as an API key can't be one: it has characters that no key has.", reason="INVALID_API_KEY"
        )
    return key


def uses_api_key() -> InvalidRequest:
    """What to raise where a client with a key is asked to do what only a session can."""
    return InvalidRequest(
        "This client uses an API key, so there is nothing to sign in to or out of.",
        reason="USES_API_KEY",
        hint=f"Unset {API_KEY_VARIABLE}, or give Client(api_key=''), to use a session.",
    )
