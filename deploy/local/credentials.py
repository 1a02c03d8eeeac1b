"""Passwords and keys between the parts: made on first start, kept in private files, the same at every start."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.program import private_directory, write_private


@dataclass(frozen=True)
class Credentials:
    """Every secret that the starter hands to the parts."""

    postgres_administrator: str = field(repr=False)
    postgres: dict[str, str] = field(repr=False)  # a service's role → its password
    object_store: str = field(repr=False)  # the secret key
    services: dict[str, str] = field(repr=False)  # a service's client id → its secret
    services_file: Path  # the same, as auth reads it
    signing_keys: Path  # a directory that auth fills
    audit_keys: Path  # a directory that activity fills
    vapid_key: Path  # a file that activity makes


def kept_credentials(directory: Path, services: Sequence[str]) -> Credentials:
    """The secrets of these services in the directory; those that are missing are made."""
    private_directory(directory)
    postgres = _kept(directory / "postgres.json", ("administrator", *services))
    object_store = _kept(directory / "object-store.json", ("secret_key",))
    services_file = directory / "services.json"
    return Credentials(
        postgres_administrator=postgres["administrator"],
        postgres={service: postgres[service] for service in services},
        object_store=object_store["secret_key"],
        services=_kept(services_file, services),
        services_file=services_file,
        signing_keys=private_directory(directory / "signing-keys"),
        audit_keys=private_directory(directory / "audit-keys"),
        vapid_key=directory / "vapid.pem",
    )


def _kept(path: Path, names: Sequence[str]) -> dict[str, str]:
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = {name: secrets.token_urlsafe(32) for name in names if name not in kept}
    if missing:
        kept |= missing
        write_private(path, json.dumps(kept, indent=2))
    path.chmod(0o600)
    return kept
