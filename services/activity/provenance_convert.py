"""Chains and verdicts as they are told. Pure."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from mirage.activity.v1 import provenance_pb2
from mirage.audit.checking import Verdict
from servicekit.structs import to_struct
from servicekit.timestamps import to_timestamp, utc_now
from services.activity.models import Record
from services.activity.provenance import stage_of


def record_to_proto(
    record: Record, *, signed_through: int, shows: UUID | None, personal: Mapping[str, Any]
) -> provenance_pb2.ProvenanceRecord:
    """A record of a chain.

    Args:
        record: the record.
        signed_through: the last record that a checkpoint covers.
        shows: whose id is shown; None for everybody's.
        personal: what names the reader, opened.
    """

    def shown(person: UUID | None) -> str:
        return str(person) if person is not None and shows in (None, person) else ""

    hidden = {str(person) for person in (record.actor_id, record.owner_id) if person and not shown(person)}
    return provenance_pb2.ProvenanceRecord(
        seq=record.seq,
        stage=stage_of(record.kind),
        kind=record.kind,
        occurred_time=to_timestamp(record.occurred_time),
        recorded_time=to_timestamp(record.recorded_time),
        service=record.service,
        actor_id=shown(record.actor_id),
        actor_role=record.actor_role,
        owner_id=shown(record.owner_id),
        object_type=record.object_type,
        object_id=record.object_id,
        related={name: value for name, value in record.related.items() if value not in hidden},
        attributes=to_struct(record.attributes),
        personal=to_struct(personal),
        hash=record.hash.hex(),
        previous_hash=record.previous_hash.hex(),
        signed=record.seq <= signed_through,
    )


def verdict_to_proto(verdict: Verdict) -> provenance_pb2.LogVerdict:
    """What became of checking the log."""
    fault = verdict.fault
    return provenance_pb2.LogVerdict(
        intact=verdict.intact,
        records=verdict.records,
        signed_records=verdict.signed_records,
        checkpoints=verdict.checkpoints,
        first_bad_seq=fault.first_seq if fault else 0,
        last_possible_seq=fault.last_seq if fault else 0,
        reason=fault.reason if fault else "",
        description=fault.description if fault else "",
        verify_time=to_timestamp(utc_now()),
    )
