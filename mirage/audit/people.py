"""People in a log that can't be changed: commitments instead of ids, and sealed fields, opened by a key a person.

Every person has a random key. From it and a record's id two keys of that record come (HKDF-Expand, RFC 5869, section
2.3, whose first block is one HMAC): one for the commitments to the person's id, one for what names them. Without the
person's key no two records can be told to be of the same person, and what is sealed is noise; so destroying that key
takes the person out of a log of which not one byte is changed. With a record's own key, one record can be opened to
somebody without opening any other.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mirage.audit.canonical import canonical, normalised, parsed

KEY_BYTES = 32
_NONCE_BYTES = 12
_NAMING = b"mirage.audit.naming.v1\0"
_SEALING = b"mirage.audit.sealing.v1\0"
_FIRST_BLOCK = b"\1"
COMMITMENT_PREFIX = "commitment:"
_SEALED_PREFIX = "sha256:"


class NotOpened(ValueError):
    """The key is not the one that these bytes were sealed with, or they were changed."""


def new_key() -> bytes:
    """A new person's key: 32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def naming_key(key: bytes, event_id: str) -> bytes:
    """The key (32 bytes) that opens the commitments of one record to one person."""
    return hmac.digest(key, _NAMING + event_id.encode() + _FIRST_BLOCK, "sha256")


def commitment(record_key: bytes, field: str, person_id: str) -> str:
    """What stands in a field of a record for a person's id; `record_key` is that of `naming_key`.

    Two fields of one record with the same person have different commitments, and so have two records.
    """
    return COMMITMENT_PREFIX + hmac.digest(record_key, f"{field}\0{person_id}".encode(), "sha256").hex()


def seal(personal: Mapping[str, Any], key: bytes, event_id: str) -> bytes:
    """What names a person, unreadable without their key: a nonce of 12 bytes, then AES-256-GCM's text and tag.

    The record's id is authenticated with it, so that sealed bytes can't be moved to another record.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    cipher = AESGCM(_sealing_key(key, event_id))
    return nonce + cipher.encrypt(nonce, canonical(normalised(personal)), event_id.encode())


def unseal(sealed: bytes, key: bytes, event_id: str) -> dict[str, Any]:
    """What `seal` sealed.

    Raises:
        NotOpened: it isn't this key's and this record's, or it was changed.
    """
    cipher = AESGCM(_sealing_key(key, event_id))
    try:
        personal = parsed(cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], event_id.encode()))
    except (InvalidTag, ValueError):
        raise NotOpened("It was not sealed with this key, or was changed.") from None
    if not isinstance(personal, dict):
        raise NotOpened("It was not sealed with this key, or was changed.")
    return personal


def sealed_digest(sealed: bytes) -> str:
    """What stands in a record for its sealed bytes; empty where there are none."""
    return _SEALED_PREFIX + hashlib.sha256(sealed).hexdigest() if sealed else ""


def _sealing_key(key: bytes, event_id: str) -> bytes:
    return hmac.digest(key, _SEALING + event_id.encode() + _FIRST_BLOCK, "sha256")
