"""The trees of RFC 6962, section 2.1, word for word: slow, and plain enough to be believed."""

import hashlib
from collections.abc import Sequence


def root(data: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = split(len(data))
    return hashlib.sha256(b"\x01" + root(data[:k]) + root(data[k:])).digest()


def path(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(data) == 1:
        return []
    k = split(len(data))
    if m < k:
        return [*path(m, data[:k]), root(data[k:])]
    return [*path(m - k, data[k:]), root(data[:k])]


def proof(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return subproof(m, data, True)


def subproof(m: int, data: Sequence[bytes], b: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    n = len(data)
    if m == n:
        return [] if b else [root(data)]
    k = split(n)
    if m <= k:
        return [*subproof(m, data[:k], b), root(data[k:])]
    return [*subproof(m - k, data[k:], False), root(data[:k])]


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k
