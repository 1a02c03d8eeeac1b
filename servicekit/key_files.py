"""ES256 keys in files of one directory, named after the moment from which they sign: `20260131T120000Z.pem`.

Processes that share the directory go by the same names, and so agree without asking each other.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from servicekit.settings import ConfigurationError

log = structlog.get_logger(__name__)

_NAME_FORMAT = "%Y%m%dT%H%M%SZ"
_NAME_PATTERN = re.compile(r"\d{8}T\d{6}Z")


@dataclass(frozen=True)
class KeyFile:
    """A key in a file."""

    path: Path
    signs_from: datetime
    public_key: ec.EllipticCurvePublicKey
    private_key: ec.EllipticCurvePrivateKey | None  # None where the file has the public half only


class KeyDirectory:
    """The directory that a setting names."""

    def __init__(self, path: Path, setting: str) -> None:
        self.path = path
        self._setting = setting

    def names(self) -> set[tuple[str, int]]:
        """What is there, and when it was written: changes where a key is added, replaced or deleted."""
        return {(path.name, path.stat().st_mtime_ns) for path in self.path.glob("*.pem")}

    def load(self) -> list[KeyFile]:
        """Every key, by the moment from which it signs.

        Raises:
            ConfigurationError: a file is no such key.
            OSError: the directory can't be read.
        """
        return [self._read(path) for path in sorted(self.path.glob("*.pem"))]

    def load_or_create(self) -> list[KeyFile]:
        """Every key; where there is none yet, one that is made now.

        Processes that start at once agree: the first makes the key, the others read it. A directory that holds keys
        may be read-only, such as a mounted secret.

        Raises:
            ConfigurationError: the directory can't be used, or a file in it is no such key.
        """
        with self.usable():
            found = self.load()
            if not found:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                with self.alone():
                    found = self.load()
                    if not found:
                        self.create(datetime.now(UTC))
                        found = self.load()
            return found

    def create(self, signs_from: datetime) -> None:
        """Makes a key that signs from a moment on (whole seconds)."""
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        name = f"{signs_from:{_NAME_FORMAT}}.pem"
        self.write(name, pem)
        log.info("signing_key_created", file=name)

    def write(self, name: str, content: bytes) -> None:
        """Writes a private file, whole or not at all; one of this name is replaced."""
        # Written aside and renamed, so that no reader and no crash meets half of it.
        draft = self.path / f".{name}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self.path / name)
        _sync(self.path)

    def tidy(self) -> None:
        """Deletes what those left behind who were killed while they wrote; the directory is ours alone."""
        for draft in self.path.glob(".*.pem.*"):
            draft.unlink()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the directory's lock file; the system gives it back even if the process is killed."""
        with (self.path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Tells what is wrong with the directory by the name of its setting.

        Raises:
            ConfigurationError: the system can't do what the block wants of it.
        """
        try:
            yield
        except OSError as error:
            raise ConfigurationError(f"{self._setting}: {self.path} can't be used: {error.strerror}.") from error

    def _read(self, path: Path) -> KeyFile:
        if not _NAME_PATTERN.fullmatch(path.stem):
            raise ConfigurationError(
                f"{self._setting}: {path.name} must be named after the moment (UTC) from which it signs, "
                "such as 20260131T120000Z.pem."
            )
        try:
            signs_from = datetime.strptime(path.stem, _NAME_FORMAT).replace(tzinfo=UTC)
            public_key, private_key = _keys_in(path.read_bytes())
        except (ValueError, TypeError):
            raise ConfigurationError(
                f"{self._setting}: {path.name} must be an unencrypted P-256 private key in PEM format, "
                "such as `openssl ecparam -name prime256v1 -genkey -noout` makes, named after a real moment."
            ) from None
        if private_key is not None and path.stat().st_mode & 0o007:
            log.warning("signing_key_exposed", file=path.name, advice="chmod 600")
        return KeyFile(path, signs_from, public_key, private_key)


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as a file holds it."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _keys_in(pem: bytes) -> tuple[ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey | None]:
    if b"-----BEGIN PUBLIC KEY-----" in pem:
        public_key = serialization.load_pem_public_key(pem)
        if isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, ec.SECP256R1):
            return public_key, None
        raise ValueError("no P-256 key")
    private_key = serialization.load_pem_private_key(pem, password=None)
    if isinstance(private_key, ec.EllipticCurvePrivateKey) and isinstance(private_key.curve, ec.SECP256R1):
        return private_key.public_key(), private_key
    raise ValueError("no P-256 key")


def _sync(directory: Path) -> None:
    """Makes the new name outlive a power cut, as its content does."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
