"""A log without a database: rows as the service keeps them, checkpoints, and documents of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic_core import to_json

from mirage.audit import checkpoint, document, signing
from mirage.audit.checking import PeoplesKeys, Row
from mirage.audit.checkpoint import Checkpoint
from mirage.audit.merkle import Frontier, inclusion_proof
from mirage.audit.people import naming_key, seal
from mirage.audit.record import GENESIS, Record, chained

ADA = "0199a0aa-0000-7000-8000-00000000ada0"
ADAS_KEY = bytes(range(32))
BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass
class Log:
    """A log of one person, signed now and then."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    rows: list[Row] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    frontier: Frontier = field(default_factory=Frontier)

    @property
    def keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """The public keys."""
        return {signing.key_id(self.key.public_key()): self.key.public_key()}

    @property
    def people(self) -> PeoplesKeys:
        """What opens the commitments."""
        return PeoplesKeys({ADA: ADAS_KEY})

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """What was signed."""
        return [checkpoint.verified(token, self.keys) for token in self.tokens]

    def add(self, count: int, **attributes: Any) -> None:
        """Adds records."""
        for seq in range(len(self.rows) + 1, len(self.rows) + 1 + count):
            row = row_of(seq, self.rows[-1].hash if self.rows else GENESIS, {"rows": seq, **attributes})
            self.rows.append(row)
            self.frontier.append(row.hash)

    def sign(self) -> None:
        """Signs what is there."""
        self.tokens.append(checkpoint.sign(self.frontier, self.rows[-1].hash, BEGIN, self.key))

    def export(self, seqs: Sequence[int]) -> bytes:
        """The signed document of some records; everything is signed."""
        checkpoints = self.checkpoints
        proven, sizes = [], set()
        for seq in seqs:
            row = self.rows[seq - 1]
            covering = next(index for index, found in enumerate(checkpoints) if found.size >= seq)
            before = checkpoints[covering - 1] if covering else None
            size = checkpoints[covering].size
            sizes.add(covering)
            hashes = [each.hash for each in self.rows[before.size if before else 0 : size]]
            proof = inclusion_proof(seq - 1, size, checkpoint.subtrees_since(before, hashes))
            named = {ADA: naming_key(ADAS_KEY, str(row.event_id))}
            proven.append(document.ProvenRecord(row.text, row.previous_hash, row.hash, size, proof, named))
        tokens = [self.tokens[index] for index in sorted(sizes)]
        return document.spelled(document.make("job-7", BEGIN, proven, tokens, self.keys, self.key))


def row_of(seq: int, previous_hash: bytes, attributes: dict[str, Any]) -> Row:
    """A record as the service keeps it."""
    event_id = UUID(int=seq)
    record = Record(
        seq=seq,
        event_id=str(event_id),
        kind="job.succeeded",
        service="generation",
        occurred_time=BEGIN + timedelta(seconds=seq),
        recorded_time=BEGIN + timedelta(seconds=seq, milliseconds=5),
        actor_id=ADA,
        actor_role="user",
        owner_id=ADA,
        object_type="job",
        object_id=f"job-{seq}",
        related={"dataset_id": "dataset-7", "user_id": ADA},
        attributes=attributes,
        sealed=seal({"file_name": "ada.csv"}, ADAS_KEY, str(event_id)),
        request_id=f"request-{seq}",
        trace_id="0" * 32,
    )
    link = chained(record, {ADA: ADAS_KEY}, previous_hash)
    return Row(
        seq=seq,
        event_id=event_id,
        kind=record.kind,
        service=record.service,
        occurred_time=record.occurred_time,
        recorded_time=record.recorded_time,
        clock_offset_seconds=None,
        actor_id=UUID(ADA),
        actor_role=record.actor_role,
        owner_id=UUID(ADA),
        object_type=record.object_type,
        object_id=record.object_id,
        related=to_json(record.related).decode(),
        attributes=to_json(record.attributes).decode(),
        sealed=record.sealed,
        request_id=record.request_id,
        trace_id=record.trace_id,
        text=link.text,
        previous_hash=link.previous_hash,
        hash=link.hash,
    )
