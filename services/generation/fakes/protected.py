"""Knows which values a source has, so that no invented one is among them, without telling them to anybody.

A model keeps a keyed hash of every value that could be invented; the key is kept apart from the model. Who has the
model alone can't try names or numbers one after the other, however few there are of a kind.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import Base64Bytes, BaseModel, ConfigDict

from servicekit.personal_data import PersonalKind
from services.generation.fakes.kinds import NORMAL

KEY_BYTES: Final = 32
# So many bits of a hash that another value has the same by chance once in 10^13 tries at a million values.
_HASH_BYTES: Final = 8

Hashes = npt.NDArray[np.uint64]

# What is invented of these kinds always looks like this in its normal form; other values needn't be remembered.
_INVENTED: Final[Mapping[PersonalKind, re.Pattern[str]]] = {
    PersonalKind.EMAIL: re.compile(r".*@example\.(com|org|net)", re.DOTALL),
    PersonalKind.IP_ADDRESS: re.compile(r"(192\.0\.2|198\.51\.100|203\.0\.113|198\.1[89]|10)\..*|2001:db8:.*"),
    PersonalKind.IBAN: re.compile(r"(?!(DE|FR|IT|ES|GB)).*|DE..9.*|FR..99.*|IT...99.*|ES..8.*|GB..ZZ.*"),
    PersonalKind.CARD_NUMBER: re.compile(
        r"(422222|411111|424242|400000|555555|510510|222300|222100|601111|601100|305693|385200|378282|371449|353011|356600).*"
    ),
}


def new_key() -> bytes:
    """A key for one model."""
    return secrets.token_bytes(KEY_BYTES)


class ProtectedValues(BaseModel):
    """The values of one column that are never to be invented, as keyed hashes (BLAKE2b, RFC 7693), ascending."""

    model_config = ConfigDict(frozen=True)

    kind: PersonalKind
    hashes: Base64Bytes

    @classmethod
    def of(cls, kind: PersonalKind, values: Iterable[str], key: bytes) -> "ProtectedValues":
        """Remembers the values."""
        normal = {NORMAL[kind](value) for value in values}
        invented = _INVENTED.get(kind)
        kept = [value for value in normal if value and (invented is None or invented.fullmatch(value))]
        hashes = np.unique(_hashes(kept, key))
        # Validation expects base64, as in JSON; these are the bytes themselves.
        return cls.model_construct(kind=kind, hashes=hashes.astype("<u8").tobytes())


class Guard:
    """Tells protected values, for whoever has the key."""

    def __init__(self, protected: ProtectedValues, key: bytes) -> None:
        self._normal = NORMAL[protected.kind]
        self._hashes = np.frombuffer(protected.hashes, dtype="<u8").astype(np.uint64)
        self._key = key

    def protects(self, values: Sequence[str]) -> npt.NDArray[np.bool_]:
        """For each value whether it is protected, however it is written."""
        if not len(self._hashes) or not len(values):
            return np.zeros(len(values), dtype=np.bool_)
        wanted = _hashes([self._normal(value) for value in values], self._key)
        places = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        found: npt.NDArray[np.bool_] = self._hashes[places] == wanted
        return found


def _hashes(values: Sequence[str], key: bytes) -> Hashes:
    digests = b"".join(
        hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES, key=key).digest()
        for value in values
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
