"""What was exported of a log, as one signed JSON document that is checked without the platform and its log.

    {
      "format": "mirage.provenance.v1",
      "object_id": …, "issued_time": …,
      "records": [{"record": {…}, "previous_hash": …, "hash": …, "checkpoint": …, "proof": […], "people": […]}, …],
      "checkpoints": [JWS, …],
      "keys": {"keys": [JWK, …]},
      "signature": JWS without its payload
    }

`record` is what was hashed, `checkpoint` the size of the signed tree in which `proof` shows it, and `people` opens the
commitments to those whom the document may name: their id, and the key of this record that shows it. Hashes and keys are
in hexadecimal digits. What is signed is the whole document but for its signature, in its canonical form (RFC 8785).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from mirage.audit import checkpoint as checkpoints
from mirage.audit import signing
from mirage.audit.canonical import NotCanonical, canonical, parsed
from mirage.audit.checkpoint import Checkpoint
from mirage.audit.merkle import includes
from mirage.audit.people import COMMITMENT_PREFIX, commitment
from mirage.audit.record import moment, record_hash

FORMAT = "mirage.provenance.v1"
_KIND = "mirage-provenance+jws"


@dataclass(frozen=True)
class ProvenRecord:
    """A record, and what proves it."""

    text: str
    previous_hash: bytes
    hash: bytes
    checkpoint_size: int
    proof: Sequence[bytes]
    people: Mapping[str, bytes]  # the key of this record by the id of each person whom the document may name


class NoDocument(ValueError):
    """What was given is no exported document at all."""


@dataclass(frozen=True)
class DocumentVerdict:
    """What became of checking a document."""

    object_id: str
    issued_time: str
    key_id: str  # of the key that signed the document
    records: Sequence[Mapping[str, Any]]  # what each says, where the document is intact
    fault: str  # empty: it is intact
    bad_seq: int  # of the first bad record; 0 where no record is to blame

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.fault


class _Wrong(ValueError):
    def __init__(self, description: str, seq: int = 0) -> None:
        super().__init__(description)
        self.seq = seq


def make(
    object_id: str,
    issued_time: datetime,
    records: Iterable[ProvenRecord],
    tokens: Iterable[str],
    keys: signing.Keys,
    private_key: ec.EllipticCurvePrivateKey,
) -> dict[str, Any]:
    """Makes and signs a document of these records, with the signed checkpoints (`tokens`) that cover them."""
    content = {
        "format": FORMAT,
        "object_id": object_id,
        "issued_time": moment(issued_time),
        "records": [
            {
                "record": parsed(each.text),
                "previous_hash": each.previous_hash.hex(),
                "hash": each.hash.hex(),
                "checkpoint": each.checkpoint_size,
                "proof": [node.hex() for node in each.proof],
                "people": [{"id": person, "key": key.hex()} for person, key in sorted(each.people.items())],
            }
            for each in records
        ],
        "checkpoints": list(tokens),
        "keys": signing.key_set(keys),
    }
    return {**content, "signature": signing.signed(canonical(content), _KIND, private_key, detached=True)}


def spelled(document: Mapping[str, Any]) -> bytes:
    """A document as it is written to a file: for people to read; another spelling of it is as good."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def enclosed_keys(text: str | bytes) -> dict[str, ec.EllipticCurvePublicKey]:
    """The public keys that a document carries itself: they prove no more than that it is of one piece.

    Raises:
        NoDocument: it is no document.
        UnusableKeys: it carries none that are usable.
    """
    return signing.keys_of(_document(text).get("keys"))


def check(text: str | bytes, keys: signing.Keys) -> DocumentVerdict:
    """Checks a document against public keys that are trusted.

    Raises:
        NoDocument: it is no document.
    """
    document = _document(text)
    told = [str(document.get(name, "")) for name in ("object_id", "issued_time")]
    key_id = ""
    try:
        key_id = _signature(document, keys)
        records = _records(document, keys)
    except _Wrong as wrong:
        return DocumentVerdict(told[0], told[1], key_id, (), str(wrong), wrong.seq)
    return DocumentVerdict(told[0], told[1], key_id, records, "", 0)


def _document(text: str | bytes) -> dict[str, Any]:
    try:
        document = parsed(text)
    except NotCanonical as error:
        raise NoDocument(str(error)) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise NoDocument(f'It is no exported provenance: its "format" must be "{FORMAT}".')
    return document


def _signature(document: Mapping[str, Any], keys: signing.Keys) -> str:
    """Checks the whole document's signature; returns its key's id."""
    content = {name: value for name, value in document.items() if name != "signature"}
    token = document.get("signature")
    if not isinstance(token, str):
        raise _Wrong("The document isn't signed.")
    # Which record was changed is of more use than that one was: where the records have a fault, that is what is told.
    try:
        signing.payload_of(token, _KIND, keys, canonical(content))
    except signing.NotSigned as error:
        _records(document, keys)
        raise _Wrong(f"The document: {error}") from None
    return signing.signer_of(token)


def _records(document: Mapping[str, Any], keys: signing.Keys) -> list[Mapping[str, Any]]:
    """Checks each record by its proof; returns what they say."""
    signed = {checkpoint.size: checkpoint for checkpoint in _checkpoints(document.get("checkpoints"), keys)}
    entries = document.get("records")
    if not isinstance(entries, list) or not entries:
        raise _Wrong("The document holds no records.")
    found: list[Mapping[str, Any]] = []
    for entry in entries:
        record = entry.get("record") if isinstance(entry, dict) else None
        seq = record.get("seq") if isinstance(record, dict) else None
        if not isinstance(seq, int):
            raise _Wrong("The document holds something that is no record.")
        if found and seq <= found[-1]["seq"]:
            raise _Wrong("The records aren't in their order.", seq)
        try:
            _check_record(entry, seq, signed)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            description = str(error) if isinstance(error, _Wrong) else f"Record {seq} is no record."
            raise _Wrong(description, seq) from None
        found.append(entry["record"])
    return found


def _checkpoints(tokens: Any, keys: signing.Keys) -> Iterable[Checkpoint]:
    if not isinstance(tokens, list):
        raise _Wrong("The document holds no checkpoints.")
    for token in tokens:
        try:
            yield checkpoints.verified(str(token), keys)
        except signing.NotSigned as error:
            raise _Wrong(f"A checkpoint: {error}") from None


def _check_record(entry: Mapping[str, Any], seq: int, signed: Mapping[int, Checkpoint]) -> None:
    record = entry["record"]
    own = bytes.fromhex(entry["hash"])
    if record_hash(bytes.fromhex(entry["previous_hash"]), canonical(record)) != own:
        raise _Wrong(f"Record {seq} was changed: it doesn't fit its hash.")
    checkpoint = signed.get(entry["checkpoint"])
    proof = [bytes.fromhex(node) for node in entry["proof"]]
    if checkpoint is None or not includes(own, seq - 1, checkpoint.size, proof, checkpoint.root):
        raise _Wrong(f"Record {seq} is not in the log that the platform signed.")
    for person in entry["people"]:
        _check_person(record, seq, person["id"], bytes.fromhex(person["key"]))


def _check_person(record: Mapping[str, Any], seq: int, person: str, key: bytes) -> None:
    places = {name: record[name] for name in ("actor_id", "owner_id", "object_id")}
    places |= {f"related.{name}": value for name, value in record["related"].items()}
    if not any(
        value.startswith(COMMITMENT_PREFIX) and commitment(key, place, person) == value
        for place, value in places.items()
    ):
        raise _Wrong(f"Record {seq} doesn't name {person}.")
