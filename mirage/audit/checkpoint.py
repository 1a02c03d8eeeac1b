"""Checkpoints: what the platform signs of its log from time to time, so that not even it can change what was before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from mirage.audit.canonical import NotCanonical, canonical, parsed
from mirage.audit.merkle import Frontier, Subtree, node_hash, subtrees_of
from mirage.audit.record import moment
from mirage.audit.signing import Keys, NotSigned, payload_of, signed, signer_of

_KIND = "mirage-checkpoint+jws"


@dataclass(frozen=True)
class Checkpoint:
    """The log's first records, as they were when this was signed."""

    size: int  # how many records; the number of the last one
    root: bytes  # of their Merkle tree
    roots: tuple[bytes, ...]  # of that tree's complete subtrees, the largest first: what the next tree goes on from
    head: bytes  # the hash of the last record
    time: str  # when it was signed, by the log's clock (RFC 3339)
    key_id: str  # of the key that signed it

    @property
    def frontier(self) -> Frontier:
        """The tree, to go on from."""
        return Frontier(self.size, self.roots)


def sign(frontier: Frontier, head: bytes, time: datetime, private_key: ec.EllipticCurvePrivateKey) -> str:
    """Signs the tree as it is, whose last leaf is the record with the hash `head`."""
    size, roots = frontier.state()
    content = {
        "size": size,
        "root": frontier.root().hex(),
        "roots": [root.hex() for root in roots],
        "head": head.hex(),
        "time": moment(time),
    }
    return signed(canonical(content), _KIND, private_key)


def verified(token: str, keys: Keys) -> Checkpoint:
    """The checkpoint in a signed text.

    Raises:
        NotSigned: it isn't one, isn't signed by one of these keys, or was changed.
    """
    try:
        told: Any = parsed(payload_of(token, _KIND, keys))
        checkpoint = Checkpoint(
            size=told["size"],
            root=bytes.fromhex(told["root"]),
            roots=tuple(bytes.fromhex(root) for root in told["roots"]),
            head=bytes.fromhex(told["head"]),
            time=told["time"],
            key_id=signer_of(token),
        )
        fits = checkpoint.frontier.root() == checkpoint.root
    except (NotCanonical, KeyError, TypeError, AttributeError):
        raise NotSigned("It is no checkpoint.") from None
    if not fits:
        raise NotSigned("It is no checkpoint.")
    return checkpoint


def subtrees_since(before: Checkpoint | None, hashes: Sequence[bytes]) -> Subtree:
    """The subtrees that prove records which came after a checkpoint, without the records before it.

    Args:
        before: the checkpoint; None for the log's beginning.
        hashes: those of the records after it.

    A complete subtree that such a proof needs lies behind the checkpoint, is one of the checkpoint's own, or is made of
    both.
    """
    size, roots = before.frontier.state() if before else (0, ())
    own: dict[tuple[int, int], bytes] = {}
    start = 0
    for root in roots:
        width = 1 << ((size - start).bit_length() - 1)
        own[start, width] = root
        start += width
    behind = subtrees_of(hashes, size)

    def subtree(start: int, width: int) -> bytes:
        if start >= size:
            return behind(start, width)
        if (start, width) in own:
            return own[start, width]
        if start + width <= size:
            raise LookupError("A proof of a record needs nothing inside of what was signed before it.")
        half = width // 2
        return node_hash(subtree(start, half), subtree(start + half, half))

    return subtree
