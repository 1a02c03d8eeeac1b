"""Passwords: judged, and argon2id hashes made and checked, off the event loop; bcrypt's are verified and upgraded."""

import asyncio
import os
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.base import ensure_bytes
from pwdlib.hashers.bcrypt import BcryptHasher
from pydantic import BaseModel

from servicekit.validation import validated
from services.auth.settings import PasswordSettings

ModelT = TypeVar("ModelT", bound=BaseModel)
ResultT = TypeVar("ResultT")

_BCRYPT_MAX_BYTES = 72


class Verdict(NamedTuple):
    """What checking a password found."""

    correct: bool
    upgraded_hash: str | None  # set where the stored hash is of an older kind or cost and should be replaced


class _LegacyBcryptHasher(BcryptHasher):
    """Bcrypt as the systems used it whose hashes are imported.

    It only ever looked at the first 72 bytes; the library in use here refuses longer passwords instead.
    """

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 - the base class's name
        return super().verify(ensure_bytes(password)[:_BCRYPT_MAX_BYTES], hash)


class Passwords:
    """Makes and checks password hashes. One hash at a time for each core, so that memory stays bounded."""

    def __init__(self, settings: PasswordSettings) -> None:
        argon2id = Argon2Hasher(
            time_cost=settings.password_hash_iterations,
            memory_cost=settings.password_hash_memory_kib,
            parallelism=settings.password_hash_lanes,
        )
        self._hasher = PasswordHash((argon2id, _LegacyBcryptHasher()))
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="passwords")
        # What the password of an account that doesn't exist is checked against, at the same cost.
        self._nobodys_hash = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """The argon2id hash of a password, in PHC string format."""
        return await self._off_loop(self._hasher.hash, _normalised(password))

    async def verify(self, password: str, stored_hash: str | None) -> Verdict:
        """Checks a password against a stored hash; without one (no such account) takes as long and says no."""
        correct, upgraded_hash = await self._off_loop(
            self._hasher.verify_and_update, _normalised(password), stored_hash or self._nobodys_hash
        )
        return Verdict(correct, upgraded_hash) if stored_hash else Verdict(correct=False, upgraded_hash=None)

    async def validated(self, model: type[ModelT], values: Mapping[str, Any]) -> ModelT:
        """Reads values with a new password, whose judging may take as long as a hash, into a model.

        Raises:
            InvalidRequest: with one violation for every wrong field.
        """
        return await self._off_loop(validated, model, values)

    def close(self) -> None:
        """Lets the threads end."""
        self._threads.shutdown(wait=False)

    async def _off_loop(self, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _normalised(password: str) -> str:
    """One spelling of each character: keyboards differ in whether é is one code point or two (RFC 8265, 4.2.1)."""
    return unicodedata.normalize("NFC", password)
