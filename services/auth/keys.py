"""Signing keys: PEM files in one directory, named after the moment from which they sign.

`20260131T120000Z.pem` signs from noon of that day on, until a younger key takes over; every key in the directory is
published. So a key is rotated by adding one whose moment lies ahead by more than the time for which others keep the
published set, and retired once the last token it signed has expired. Every copy of auth looks into the directory again
and again, and goes by the same names: they agree without asking each other.
"""

import asyncio
import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from servicekit.identity import ALGORITHM, CLOCK_SKEW_SECONDS
from servicekit.key_files import KeyDirectory, KeyFile
from servicekit.settings import ConfigurationError
from servicekit.timestamps import utc_now
from services.auth.settings import LONGEST_TOKEN_MINUTES

log = structlog.get_logger(__name__)

_LONGEST_TOKEN = timedelta(minutes=LONGEST_TOKEN_MINUTES)
_SETTING = "SIGNING_KEYS_DIR"


@dataclass(frozen=True)
class SigningKey:
    """One ES256 key."""

    key_id: str  # its RFC 7638 thumbprint, so the same key has the same id everywhere
    signs_from: datetime
    file: Path
    private_key: ec.EllipticCurvePrivateKey
    public_jwk: dict[str, str]


class SigningKeys:
    """The keys of this platform: the source that auth's own token check takes its public keys from."""

    def __init__(self, keys: Sequence[SigningKey], token_lifetime: timedelta = _LONGEST_TOKEN) -> None:
        """Takes at least one key, and how long the tokens that they sign are good."""
        self._token_lifetime = token_lifetime + timedelta(seconds=CLOCK_SKEW_SECONDS)
        self._keys: list[SigningKey] = []
        self.replace(keys)

    def replace(self, keys: Sequence[SigningKey]) -> None:
        """Goes by these keys from now on; at least one."""
        self._keys = sorted(keys, key=lambda key: key.signs_from)

    def retired(self, now: datetime) -> Sequence[SigningKey]:
        """The keys whose last token has expired: those whose successor has signed for longer than a token is good."""
        return [
            key
            for key, successor in itertools.pairwise(self._keys)
            if successor.signs_from + self._token_lifetime <= now
        ]

    def signing_key(self, now: datetime) -> SigningKey:
        """The youngest key whose moment has come; the oldest where none has."""
        due = [key for key in self._keys if key.signs_from <= now]
        return due[-1] if due else self._keys[0]

    async def key(self, key_id: str) -> Any:
        """The public key of this id, in a form that PyJWT takes; None if there is none."""
        return next((key.private_key.public_key() for key in self._published() if key.key_id == key_id), None)

    def key_set(self) -> bytes:
        """Every public key that isn't retired, as a JWK set (RFC 7517) in JSON."""
        return json.dumps({"keys": [key.public_jwk for key in self._published()]}, separators=(",", ":")).encode()

    def _published(self) -> Sequence[SigningKey]:
        retired = {key.key_id for key in self.retired(utc_now())}
        return [key for key in self._keys if key.key_id not in retired]


def load_or_create(directory: Path, token_lifetime: timedelta = _LONGEST_TOKEN) -> SigningKeys:
    """The keys in a directory; where there is none yet, one that is made now.

    Processes that start at once agree: the first makes the key, the others read it. A directory that holds keys may
    be read-only, such as a mounted secret.

    Raises:
        ConfigurationError: the directory can't be used, or a file in it is no such key.
    """
    files = KeyDirectory(directory, _SETTING).load_or_create()
    return SigningKeys([_signing_key(file) for file in files], token_lifetime)


async def keep_current(directory: Path, keys: SigningKeys, *, every_s: float = 1.0) -> None:
    """Takes up what changes in the directory, and deletes what is retired; ends by being cancelled.

    What can't be used is logged, and the keys stay as they are: a wrong file must not end a service that works.
    """
    files = KeyDirectory(directory, _SETTING)
    seen = files.names()
    while True:
        await asyncio.sleep(every_s)
        try:
            _delete_retired(keys)
            found = await asyncio.to_thread(files.names)
            if found != seen:
                loaded = await asyncio.to_thread(_load, files)
                if loaded:
                    keys.replace(loaded)
                    log.info("signing_keys_changed", keys=len(loaded))
                seen = found
        except (OSError, ConfigurationError) as error:
            log.error("signing_keys_unusable", error=str(error))  # noqa: TRY400 - what is wrong is in the message


def rotate(directory: Path, publish_for: timedelta, token_lifetime: timedelta) -> tuple[SigningKey, bool]:
    """Adds a key that signs once it has been published for a while; returns it, and whether it is new.

    While a key waits for its moment it is the one that is returned: rotating twice is rotating once. Killed at any
    point, this leaves the directory as it was or with the whole new key.

    Raises:
        ConfigurationError: the directory can't be used, or a file in it is no such key.
    """
    files = KeyDirectory(directory, _SETTING)
    files.load_or_create()
    with files.usable(), files.alone():
        files.tidy()
        loaded = _load(files)
        now = utc_now()
        youngest = max(loaded, key=lambda key: key.signs_from)
        if youngest.signs_from > now:
            return youngest, False
        _delete_retired(SigningKeys(loaded, token_lifetime))
        # The name has whole seconds: rather later than too early.
        files.create((now + publish_for).replace(microsecond=0) + timedelta(seconds=1))
        return max(_load(files), key=lambda key: key.signs_from), True


def _delete_retired(keys: SigningKeys) -> None:
    for key in keys.retired(utc_now()):
        # A mounted secret is tidied by whoever mounts it.
        if key.file.exists() and os.access(key.file.parent, os.W_OK):
            key.file.unlink(missing_ok=True)
            log.info("signing_key_retired", file=key.file.name)


def _load(files: KeyDirectory) -> list[SigningKey]:
    return [_signing_key(file) for file in files.load()]


def _signing_key(file: KeyFile) -> SigningKey:
    if file.private_key is None:
        raise ConfigurationError(f"{_SETTING}: {file.path.name} must hold a private key, not the public half alone.")
    public_jwk = _public_jwk(file.private_key)
    return SigningKey(public_jwk["kid"], file.signs_from, file.path, file.private_key, public_jwk)


def _public_jwk(private_key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    point = ECAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    # RFC 7638, section 3.2: exactly these members, in this order, without spaces.
    canonical = json.dumps({name: point[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    thumbprint = base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()
    return {**point, "kid": thumbprint, "use": "sig", "alg": ALGORITHM}
