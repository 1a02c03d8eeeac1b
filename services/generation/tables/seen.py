"""Remembers which values occur in a source, without remembering them."""

import hashlib
from collections.abc import Iterable
from typing import Annotated

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

BITS_PER_VALUE = 6
SALT_BYTES = 16


class SeenValues(BaseModel):
    """A Bloom filter (Bloom, Space/Time Trade-offs in Hash Coding, 1970) with two salted hashes.

    What was seen is always known as seen; of what wasn't, about one in twelve is taken for seen. So small a filter
    is enough for making values that the source doesn't have, and being in it says little about a value.
    """

    model_config = ConfigDict(frozen=True)

    salt: Base64Bytes
    bits: Base64Bytes
    size: Annotated[int, Field(gt=0)]

    @classmethod
    def of(cls, values: Iterable[str], salt: bytes) -> "SeenValues":
        """Remembers the values."""
        distinct = set(values)
        size = max(64, BITS_PER_VALUE * len(distinct))
        bits = bytearray(-(-size // 8))
        for value in distinct:
            for place in _places(value, salt, size):
                bits[place // 8] |= 1 << place % 8
        # Validation expects base64, as in JSON; these are the bytes themselves.
        return cls.model_construct(salt=salt, bits=bytes(bits), size=size)

    def __contains__(self, value: str) -> bool:
        return all(self.bits[place // 8] >> place % 8 & 1 for place in _places(value, self.salt, self.size))


def _places(value: str, salt: bytes, size: int) -> tuple[int, int]:
    digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16, key=salt).digest()
    return int.from_bytes(digest[:8]) % size, int.from_bytes(digest[8:]) % size
