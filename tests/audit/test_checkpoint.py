"""Checkpoints, and proofs from one to the next."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.utils import base64url_decode, base64url_encode

from mirage.audit import checkpoint
from mirage.audit.checking import LogCheck
from mirage.audit.merkle import includes, inclusion_proof
from mirage.audit.signing import NotSigned
from tests.audit import reference
from tests.audit.logs import BEGIN, Log


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.data())
def test_proof_from_one_to_the_next(steps: list[int], data: st.DataObject) -> None:
    """With the checkpoint before and the records behind it alone comes the proof that the whole tree would give."""
    hashes = [bytes([number]) * 32 for number in range(sum(steps))]
    sizes = [sum(steps[: index + 1]) for index in range(len(steps))]
    log = Log()
    for place, each in enumerate(hashes):
        log.frontier.append(each)
        if place + 1 in sizes:
            log.tokens.append(checkpoint.sign(log.frontier, each, BEGIN, log.key))
    signed = log.checkpoints
    assert [found.root for found in signed] == [reference.root(hashes[:size]) for size in sizes]
    place = data.draw(st.integers(0, len(hashes) - 1))
    index = next(index for index, size in enumerate(sizes) if size > place)
    before, covering = signed[index - 1] if index else None, signed[index]
    behind = hashes[before.size if before else 0 : covering.size]
    proof = inclusion_proof(place, covering.size, checkpoint.subtrees_since(before, behind))
    assert proof == reference.path(place, hashes[: covering.size])
    assert includes(hashes[place], place, covering.size, proof, covering.root)


@pytest.mark.parametrize("field", ["size", "root", "roots", "head", "time"])
def test_every_field_is_signed(field: str) -> None:
    """Whatever is changed in a checkpoint, it isn't the platform's any more."""
    log = Log()
    log.add(3)
    log.sign()
    header, payload, signature = log.tokens[0].split(".")
    content = json.loads(base64url_decode(payload))
    content[field] = {"size": 2, "roots": content["roots"][:1]}.get(field, "00" * 32)
    forged = f"{header}.{base64url_encode(json.dumps(content).encode()).decode()}.{signature}"
    with pytest.raises(NotSigned):
        checkpoint.verified(forged, log.keys)


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "eyJraWQiOjd9..", "é.é.é"])
def test_no_checkpoint(token: str) -> None:
    """What is no signature is none."""
    log = Log()
    log.add(1)
    with pytest.raises(NotSigned):
        checkpoint.verified(token, log.keys)


def test_one_spelling_of_a_signature() -> None:
    """A signature whose last character is spelled otherwise, with the same bits, isn't taken for it."""
    log = Log()
    log.add(1)
    log.sign()
    token = log.tokens[0]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    with pytest.raises(NotSigned):
        checkpoint.verified(other, log.keys)


def test_checking_goes_on_from_a_checkpoint() -> None:
    """A log is checked from behind a checkpoint as from its beginning."""
    log = Log()
    for count in (5, 6):
        log.add(count)
        log.sign()
    first, second = log.checkpoints
    whole, rest = LogCheck(log.people, log.checkpoints), LogCheck(log.people, [second], after=first)
    assert whole.add(log.rows)
    assert rest.add(log.rows[5:])
    assert whole.finish().intact
    assert rest.finish().intact
    assert rest.frontier.root() == whole.frontier.root() == second.root
