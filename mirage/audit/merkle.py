"""The Merkle tree over the records' hashes: one root for all of them, and short proofs (RFC 6962, section 2.1).

A proof is a list of 32-byte hashes, as long as the tree is high. A verifier needs no more than it, the record and a
root that it trusts.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
"""The root of the tree without leaves."""

_LEAF = b"\0"
_NODE = b"\1"

Subtree = Callable[[int, int], bytes]
"""The root of the leaves from a start, a multiple of a size that is a power of two: `subtree(start, size)`."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf; the data are a record's hash."""
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(_NODE + left + right).digest()


class Frontier:
    """The tree as it grows: of each complete subtree to the left its root; as many as the size has bits."""

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        """Goes on from `state()` of another.

        Raises:
            ValueError: there are more or fewer roots than a tree of this size has.
        """
        if size < 0 or len(roots) != size.bit_count() or any(len(root) != HASH_BYTES for root in roots):
            raise ValueError(f"A tree of {size} leaves has {max(size, 0).bit_count()} roots of {HASH_BYTES} bytes.")
        self.size = size
        self._roots = list(roots)  # the largest subtree first

    def append(self, data: bytes) -> None:
        """Adds a leaf; the data are a record's hash."""
        # Spelled out, not by leaf_hash and node_hash: a million records are to be verified in seconds.
        sha256, roots = hashlib.sha256, self._roots
        node = sha256(_LEAF + data).digest()
        size = self.size
        while size & 1:
            node = sha256(_NODE + roots.pop() + node).digest()
            size >>= 1
        roots.append(node)
        self.size += 1

    def extend(self, data: Iterable[bytes]) -> None:
        """Adds leaves in their order."""
        for each in data:
            self.append(each)

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        if not self._roots:
            return EMPTY_ROOT
        root = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            root = node_hash(left, root)
        return root

    def state(self) -> tuple[int, tuple[bytes, ...]]:
        """The size and the roots from which another goes on."""
        return self.size, tuple(self._roots)


def subtrees_of(leaves: Sequence[bytes], first: int = 0) -> Subtree:
    """The subtrees of leaves that are all there, from place `first` of the tree on; each is hashed once.

    The leaves' data are records' hashes.
    """
    known: dict[tuple[int, int], bytes] = {}

    def subtree(start: int, size: int) -> bytes:
        if size == 1:
            return leaf_hash(leaves[start - first])
        found = known.get((start, size))
        if found is None:
            half = size // 2
            found = known[start, size] = node_hash(subtree(start, half), subtree(start + half, half))
        return found

    return subtree


def tree_root(size: int, subtree: Subtree, start: int = 0) -> bytes:
    """The root of `size` leaves from `start` on, which is a multiple of a power of two no smaller than `size`."""
    if size == 0:
        return EMPTY_ROOT
    if size & (size - 1) == 0:
        return subtree(start, size)
    split = _split(size)
    return node_hash(subtree(start, split), tree_root(size - split, subtree, start + split))


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """What proves that a leaf is in the tree of the first `size` leaves (section 2.1.1).

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"A tree of {size} leaves has no leaf {index}.")
    return _path(index, 0, size, subtree)


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """What proves that the tree of `second` leaves begins with that of `first` (section 2.1.2).

    Raises:
        ValueError: not 0 < first <= second.
    """
    if not 0 < first <= second:
        raise ValueError(f"A tree of {second} leaves can't be held against one of {first}.")
    return _consistent(first, 0, second, subtree, whole=True)


def includes(data: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether a proof shows that a leaf is in the tree with this size and root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, node = index, size - 1, leaf_hash(data)
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and node == root


def extends(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the second tree begins with the first one (RFC 9162, section 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    rest = list(proof)
    if first & (first - 1) == 0:
        rest.insert(0, first_root)
    if not rest:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = rest[0]
    for node in rest[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, node)
        position >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The largest power of two smaller than a size above 1."""
    return 1 << ((size - 1).bit_length() - 1)


def _path(index: int, start: int, size: int, subtree: Subtree) -> list[bytes]:
    if size == 1:
        return []
    split = _split(size)
    if index < split:
        return [*_path(index, start, split, subtree), tree_root(size - split, subtree, start + split)]
    return [*_path(index - split, start + split, size - split, subtree), subtree(start, split)]


def _consistent(first: int, start: int, size: int, subtree: Subtree, *, whole: bool) -> list[bytes]:
    if first == size:
        return [] if whole else [tree_root(size, subtree, start)]
    split = _split(size)
    if first <= split:
        left = _consistent(first, start, split, subtree, whole=whole)
        return [*left, tree_root(size - split, subtree, start + split)]
    right = _consistent(first - split, start + split, size - split, subtree, whole=False)
    return [*right, subtree(start, split)]
