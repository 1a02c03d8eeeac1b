"""The tree, held against the RFC's own definitions."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirage.audit import merkle
from tests.audit import reference

SIZES = st.integers(1, 70)


def leaves(size: int) -> list[bytes]:
    return [hashlib.sha256(str(index).encode()).digest() for index in range(size)]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 200))
def test_root(size: int) -> None:
    """The root that grows leaf by leaf, and the one of all leaves at once, are the RFC's."""
    data = leaves(size)
    frontier = merkle.Frontier()
    frontier.extend(data)
    assert frontier.root() == reference.root(data)
    assert merkle.tree_root(size, merkle.subtrees_of(data)) == reference.root(data)


def test_known_root() -> None:
    """The root of eight leaves is the one that Certificate Transparency's own test vectors give."""
    data = [bytes.fromhex(text) for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )]  # fmt: skip
    frontier = merkle.Frontier()
    frontier.extend(data)
    assert frontier.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_goes_on(data: st.DataObject) -> None:
    """A tree that goes on from what another left grows to the same root."""
    size = data.draw(SIZES)
    kept = data.draw(st.integers(0, size))
    first = merkle.Frontier()
    first.extend(leaves(size)[:kept])
    second = merkle.Frontier(*first.state())
    second.extend(leaves(size)[kept:])
    assert second.root() == reference.root(leaves(size))


def test_wrong_state() -> None:
    """A state with a root too few is refused."""
    with pytest.raises(ValueError, match="2 roots"):
        merkle.Frontier(3, [bytes(32)])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_inclusion(data: st.DataObject) -> None:
    """A proof of inclusion is the RFC's, shows its leaf, and shows no other leaf, place, size or root."""
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    all_leaves = leaves(size)
    proof = merkle.inclusion_proof(index, size, merkle.subtrees_of(all_leaves))
    root = reference.root(all_leaves)
    assert proof == reference.path(index, all_leaves)
    assert merkle.includes(all_leaves[index], index, size, proof, root)
    assert not merkle.includes(b"other", index, size, proof, root)
    assert not merkle.includes(all_leaves[index], index, size, proof, bytes(32))
    assert not merkle.includes(all_leaves[index], index, size, [*proof, bytes(32)], root)
    assert not merkle.includes(all_leaves[index], -1, size, proof, root)
    other = data.draw(st.integers(0, size))
    assert merkle.includes(all_leaves[index], other, size, proof, root) == (other == index)
    for position in range(len(proof)):
        changed = [*proof]
        changed[position] = bytes(32)
        assert not merkle.includes(all_leaves[index], index, size, changed, root)
        assert not merkle.includes(all_leaves[index], index, size, proof[:position] + proof[position + 1 :], root)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_consistency(data: st.DataObject) -> None:
    """A proof of consistency is the RFC's, shows that the one tree begins with the other, and nothing else."""
    second = data.draw(SIZES)
    first = data.draw(st.integers(1, second))
    all_leaves = leaves(second)
    old, new = reference.root(all_leaves[:first]), reference.root(all_leaves)
    proof = merkle.consistency_proof(first, second, merkle.subtrees_of(all_leaves))
    assert proof == reference.proof(first, all_leaves)
    assert merkle.extends(first, old, second, new, proof)
    assert not merkle.extends(first, bytes(32), second, new, proof)
    assert not merkle.extends(first, old, second, bytes(32), proof)
    assert not merkle.extends(first, old, second, new, [*proof, bytes(32)])
    for position in range(len(proof)):
        changed = [*proof]
        changed[position] = bytes(32)
        assert not merkle.extends(first, old, second, new, changed)


def test_no_such_proof() -> None:
    """What a tree doesn't have can't be proven of it."""
    subtree = merkle.subtrees_of(leaves(3))
    with pytest.raises(ValueError, match="no leaf 3"):
        merkle.inclusion_proof(3, 3, subtree)
    with pytest.raises(ValueError, match="one of 4"):
        merkle.consistency_proof(4, 3, subtree)
    assert not merkle.extends(0, merkle.EMPTY_ROOT, 3, reference.root(leaves(3)), [])
