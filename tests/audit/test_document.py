"""An exported document: whoever changes anything in it, with or without a key of their own, is found out."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirage.audit import document, signing
from mirage.audit.canonical import canonical
from tests.audit.logs import ADA, Log


def made(log: Log) -> Log:
    """A log with three checkpoints."""
    for count in (3, 1, 9):
        log.add(count, header=True, score=0.5, nothing=None, deep=[{"a": "b"}])
        log.sign()
    return log


LOG = made(Log())
TEXT = LOG.export([1, 4, 5, 13])
Path = tuple[Any, ...]


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Where there is something in a document: every member and every element."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield (*at, name)
        yield from paths(each, (*at, name))


PATHS = list(paths(json.loads(TEXT)))


def holder(value: Any, path: Path) -> Any:
    """What holds the member at the end of a path."""
    for name in path[:-1]:
        value = value[name]
    return value


def test_what_nobody_changed() -> None:
    """A document is intact as it was made, and as any program spells it."""
    for text in (TEXT, json.dumps(json.loads(TEXT)), canonical(json.loads(TEXT))):
        verdict = document.check(text, LOG.keys)
        assert (verdict.intact, verdict.fault, verdict.object_id, verdict.bad_seq) == (True, "", "job-7", 0)
        assert [record["seq"] for record in verdict.records] == [1, 4, 5, 13]
        assert verdict.key_id in LOG.keys


def different(value: Any) -> st.SearchStrategy[Any]:
    """Something else in a value's place: of the same kind and near it, or not."""
    near: list[Any] = [None, True, [], {}, 0, 1, "", "x", 0.5]
    if isinstance(value, str) and value:
        places = st.integers(0, len(value) - 1)
        flipped = st.builds(
            lambda place, letter: value[:place] + letter + value[place + 1 :], places, st.sampled_from("0aAbB9_-.")
        )
        return st.one_of(flipped, st.just(value.upper()), st.just(value + "0"), st.sampled_from(near))
    if isinstance(value, bool):
        return st.sampled_from([*near, not value, int(value)])
    if isinstance(value, int):
        return st.one_of(st.sampled_from([value + 1, value - 1, -value, str(value), *near]), st.integers())
    return st.sampled_from(near)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_field(data: st.DataObject) -> None:
    """Whatever is changed anywhere, in whatever way, the document isn't intact any more."""
    forged = json.loads(TEXT)
    path = data.draw(st.sampled_from(PATHS))
    place = holder(forged, path)
    before = copy.deepcopy(place[path[-1]])
    place[path[-1]] = data.draw(different(before))
    if json.dumps(place[path[-1]]) == json.dumps(before):
        return
    assert not accepted(json.dumps(forged))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_fields_added_and_taken_away(data: st.DataObject) -> None:
    """Nor is it with something more, or something less."""
    forged = json.loads(TEXT)
    path = data.draw(st.sampled_from(PATHS))
    place = holder(forged, path)
    if data.draw(st.booleans()):
        del place[path[-1]]
    elif isinstance(place, dict):
        place["added"] = None
    else:
        place.append(place[0])
    assert not accepted(json.dumps(forged))


def accepted(text: str) -> bool:
    """Whether a document is taken for a good one."""
    try:
        return document.check(text, LOG.keys).intact
    except document.NoDocument:
        return False


@pytest.mark.parametrize("seq", [1, 5])
def test_the_first_bad_record_is_named(seq: int) -> None:
    """A changed record is told by its number, rather than that something is wrong."""
    forged = json.loads(TEXT)
    entry = next(entry for entry in forged["records"] if entry["record"]["seq"] == seq)
    entry["record"]["attributes"]["rows"] = 1_000_000
    verdict = document.check(json.dumps(forged), LOG.keys)
    assert (verdict.intact, verdict.bad_seq) == (False, seq)
    assert str(seq) in verdict.fault


def test_somebody_elses_key() -> None:
    """A forger who computes and signs everything anew has another key, and the keys in the document prove nothing."""
    forger = made(Log())
    text = forger.export([1, 4])
    assert document.check(text, document.enclosed_keys(text)).intact
    verdict = document.check(text, LOG.keys)
    assert not verdict.intact
    assert "not trusted" in verdict.fault


def test_a_record_of_ones_own() -> None:
    """A document that is signed rightly, with a record that never was in the log, isn't believed."""
    forged = json.loads(made(Log(LOG.key)).export([1, 4]))
    genuine = json.loads(TEXT)
    content = {**genuine, "records": [forged["records"][0]]}
    content["records"][0]["record"]["kind"] = "job.failed"
    del content["signature"]
    signature = signing.signed(canonical(content), "mirage-provenance+jws", LOG.key, detached=True)
    verdict = document.check(json.dumps({**content, "signature": signature}), LOG.keys)
    assert (verdict.intact, verdict.bad_seq) == (False, 1)


def test_a_signature_of_something_else() -> None:
    """A checkpoint is no signature of a document, though the same key made it."""
    forged = json.loads(TEXT)
    forged["signature"] = forged["checkpoints"][0]
    assert not accepted(json.dumps(forged))
    del forged["signature"]
    assert not accepted(json.dumps(forged))


def test_who_is_named() -> None:
    """The document opens the commitments of its records to whom it names, and to nobody else."""
    [entry, *_] = json.loads(TEXT)["records"]
    assert entry["people"][0]["id"] == ADA
    assert ADA not in json.dumps(entry["record"])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"format": "mirage.provenance.v2"}', TEXT[:-10], b"\xff\xfe"]
)
def test_no_document(text: str | bytes) -> None:
    """What isn't a document is told from a forged one."""
    with pytest.raises(document.NoDocument):
        document.check(text, LOG.keys)


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["record", "keys", "kid"]), inner),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING)
def test_anything_else(value: Any) -> None:
    """Whatever stands in the place of the records, nothing worse happens than that it isn't intact."""
    forged = {**json.loads(TEXT), "records": value}
    assert not accepted(json.dumps(forged))
    assert not accepted(json.dumps({**json.loads(TEXT), "keys": value, "checkpoints": value}))


@pytest.mark.parametrize(
    "keys",
    [
        "{}",
        '{"keys": []}',
        '{"keys": [{}]}',
        '{"keys": [{"kty": "oct", "k": "AAAA"}]}',
        json.dumps(
            {"keys": [{**signing.public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()), "kid": "x"}]}
        ),
        json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}]}),
        "no JSON",
    ],
)
def test_unusable_keys(keys: str) -> None:
    """Keys that aren't public ES256 keys named by their thumbprints are refused."""
    with pytest.raises(signing.UnusableKeys):
        signing.parsed_keys(keys)


def test_a_private_key_is_not_published() -> None:
    """A JWK set with a private key in it is refused rather than passed on."""
    jwk = {**signing.public_jwk(LOG.key.public_key()), "d": "AAAA"}
    with pytest.raises(signing.UnusableKeys):
        signing.keys_of({"keys": [jwk]})
