"""Where a table came from, and whether what is told of it is true."""

from typing import Any

from mirage.activity.v1 import provenance_pb2
from mirage.records.base import Field, Record, from_struct, time


class ProvenanceRecord(Record[provenance_pb2.ProvenanceRecord]):
    """A record of the platform's log."""

    seq = Field("seq", int, "Its number in the log, from 1.")
    stage = Field("stage", str, "The part of the chain, such as `upload`, `job` or `download`.")
    kind = Field("kind", str, "What happened, such as `job.succeeded`.")
    occurred_time = Field("occurred_time", time, "When it happened, by the clock of the service that told.")
    recorded_time = Field("recorded_time", time, "When it came into the log.")
    service = Field("service", str, "The service that told.")
    actor_id = Field("actor_id", str, "Who did it; empty for the platform itself, and for who isn't shown.")
    actor_role = Field("actor_role", str, "The role in which they did it.")
    owner_id = Field("owner_id", str, "Whose object it is; empty for who isn't shown.")
    object_type = Field("object_type", str, "What it happened to, such as `job`.")
    object_id = Field("object_id", str, "The object's id.")
    related = Field("related", dict, "Ids of other objects, by what they are.")
    attributes = Field("attributes", from_struct, "Facts: rows, bytes, hashes, settings, seed, versions.")
    personal = Field("personal", from_struct, "Facts that may name the caller, such as a file's name.")
    hash = Field("hash", str, "The record's hash (SHA-256).")
    signed = Field("signed", bool, "Whether a signed checkpoint covers it.")

    def __repr__(self) -> str:
        return f"<ProvenanceRecord {self.seq} {self.kind}>"


def _records(records: Any) -> list[ProvenanceRecord]:
    return [ProvenanceRecord(record) for record in records]


class LogVerdict(Record[provenance_pb2.LogVerdict]):
    """Whether the log is as it was written."""

    intact = Field("intact", bool, "Whether nothing is wrong.")
    records = Field("records", int, "How many records were checked and found right.")
    signed_records = Field("signed_records", int, "How many of them a signed checkpoint covers.")
    checkpoints = Field("checkpoints", int, "How many checkpoints were checked.")
    first_bad_seq = Field("first_bad_seq", int, "Number of the first bad record; 0 for none.")
    last_possible_seq = Field("last_possible_seq", int, "The last that may be the first bad one; 0 for none.")
    reason = Field("reason", str, "What is wrong, for programs; empty for nothing.")
    description = Field("description", str, "What is wrong, for people; empty for nothing.")
    verify_time = Field("verify_time", time, "When the check ended.")

    def __bool__(self) -> bool:
        return self.intact

    def __repr__(self) -> str:
        return f"<LogVerdict {'intact' if self.intact else self.reason}, {self.records} records>"


class ProvenanceVerdict(Record[provenance_pb2.ProvenanceVerdict]):
    """Whether the records behind an object, and the log with them, are as they were written."""

    object_id = Field("object_id", str, "The object.")
    intact = Field("intact", bool, "Whether nothing is wrong, with these records or any other.")
    records = Field("records", int, "How many records are behind the object.")
    concerns_object = Field("concerns_object", bool, "Whether the first bad record is one of them.")
    log = Field("log", LogVerdict, "The whole log's verdict.")

    def __bool__(self) -> bool:
        return self.intact

    def __repr__(self) -> str:
        return f"<ProvenanceVerdict {'intact' if self.intact else self.log.reason} of {self.object_id}>"


class ProvenanceFields(Record[provenance_pb2.Provenance]):
    """The records behind an object."""

    object_id = Field("object_id", str, "The object.")
    records = Field("records", _records, "The records, the oldest first.")
    complete = Field("complete", bool, "Whether these are all.")

    def __repr__(self) -> str:
        return f"<Provenance of {self.object_id}: {len(self.proto.records)} records>"
