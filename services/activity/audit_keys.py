"""The keys that sign the log: checkpoints and what is exported.

They are no keys of auth's: what signs the log must not be able to sign in as anybody, nor the other way round. A key
signs from the moment after which its file is named until a younger one takes over. Its public half is published for
ever, for what it signed is to be checked for ever; its private half is then destroyed, so that nobody who gets hold of
the directory can sign what was long ago. A database that somebody else can write holds none of it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from mirage.audit import signing
from servicekit.key_files import KeyDirectory, KeyFile, public_pem
from servicekit.settings import ConfigurationError
from servicekit.timestamps import utc_now

log = structlog.get_logger(__name__)

_SETTING = "AUDIT_KEYS_DIR"
_LATEST = "latest-checkpoint.jws"


class AuditKeys:
    """The keys in a directory, made on first start, and the latest that they signed.

    That is kept beside them, out of reach of who can write the database: a log that lost its end, and the checkpoints
    of it, is told from a shorter one.
    """

    def __init__(self, directory: Path) -> None:
        """Reads the directory.

        Raises:
            ConfigurationError: it can't be used, or a file in it is no such key.
        """
        self._directory = KeyDirectory(directory, _SETTING)
        self._files: Sequence[KeyFile] = self._directory.load_or_create()
        self._seen = self._directory.names()
        self._latest = self._kept_latest()

    @property
    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """What signs now."""
        return _signing_file(self._files)[1]

    @property
    def public(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """Every public key by its id, the oldest first."""
        return {signing.key_id(file.public_key): file.public_key for file in self._files}

    @property
    def latest(self) -> str:
        """The latest checkpoint that a copy of the service has signed with these keys; empty where there is none."""
        return self._latest

    def refresh(self) -> None:
        """Takes up what changed in the directory: keys that were added, and what other copies of the service signed.

        What can't be used is logged, and the keys stay as they are: a wrong file must not end a service that works.
        """
        try:
            found = self._directory.names()
            if found != self._seen:
                files = self._directory.load()
                _signing_file(files)
                self._files, self._seen = files, found
                log.info("audit_keys_changed", keys=len(files))
            self._latest = self._kept_latest() or self._latest
            self._destroy_retired()
        except (OSError, ConfigurationError) as error:
            log.error("audit_keys_unusable", error=str(error))  # noqa: TRY400 - what is wrong is in the message

    def keep(self, token: str) -> None:
        """Remembers a checkpoint as the latest; in this process alone where the directory is read-only."""
        self._latest = token
        try:
            self._directory.write(_LATEST, token.encode())
        except OSError as error:
            log.warning("latest_checkpoint_not_kept", error=str(error))

    def _kept_latest(self) -> str:
        path = self._directory.path / _LATEST
        return path.read_text() if path.exists() else ""

    def _destroy_retired(self) -> None:
        current, _ = _signing_file(self._files)
        if not os.access(self._directory.path, os.W_OK):  # a mounted secret is tidied by whoever mounts it
            return
        for file in self._files:
            if file.private_key is not None and file.signs_from < current.signs_from:
                self._directory.write(file.path.name, public_pem(file.public_key))
                log.info("audit_key_retired", file=file.path.name)


def rotate(directory: Path) -> str:
    """Makes a key that signs from now on; returns its id.

    Raises:
        ConfigurationError: the directory can't be used, or a file in it is no such key.
    """
    files = KeyDirectory(directory, _SETTING)
    files.load_or_create()
    with files.usable(), files.alone():
        files.tidy()
        youngest = files.load()[-1]
        now = utc_now()
        if (now - youngest.signs_from).total_seconds() >= 1:  # names have whole seconds
            files.create(now)
        return signing.key_id(files.load()[-1].public_key)


def _signing_file(files: Sequence[KeyFile]) -> tuple[KeyFile, ec.EllipticCurvePrivateKey]:
    """The youngest key whose moment has come, the oldest where none has; only private ones sign."""
    now = utc_now()
    usable = [(file, file.private_key) for file in files if file.private_key is not None]
    if not usable:
        raise ConfigurationError(f"{_SETTING}: no file in it holds a private key.")
    due = [pair for pair in usable if pair[0].signs_from <= now]
    return due[-1] if due else usable[0]
