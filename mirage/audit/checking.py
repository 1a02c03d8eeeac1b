"""Checking a log record by record: does each hold on to the one before, and are all what was signed?

The rows come in their order, and are kept no longer than they are looked at: a log of any length is checked in little
memory, at some tens of thousands of records a second on one core.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from mirage.audit.checkpoint import Checkpoint
from mirage.audit.merkle import Frontier
from mirage.audit.people import COMMITMENT_PREFIX, commitment, naming_key, sealed_digest
from mirage.audit.record import GENESIS, moment, people_of, record_hash


class Row(NamedTuple):
    """A record as the log keeps it: columns, and the text and hashes that they must fit."""

    seq: int
    event_id: UUID
    kind: str
    service: str
    occurred_time: datetime
    recorded_time: datetime
    clock_offset_seconds: float | None
    actor_id: UUID | None
    actor_role: str
    owner_id: UUID | None
    object_type: str
    object_id: str
    related: str  # JSON
    attributes: str  # JSON
    sealed: bytes
    request_id: str
    trace_id: str
    text: str
    previous_hash: bytes
    hash: bytes

    @property
    def people(self) -> frozenset[str]:
        """The ids of the people whom the columns name in the clear."""
        return people_of(
            str(self.actor_id or ""),
            str(self.owner_id or ""),
            self.object_type,
            self.object_id,
            json.loads(self.related),
        )


# One for all: making it anew takes as long as reading a record. Numbers are doubles, however they are spelled.
_decoded = json.JSONDecoder(parse_int=float).decode


def _nobody(_person_id: str) -> bool:
    return False


class PeoplesKeys(NamedTuple):
    """What opens commitments."""

    of: Mapping[str, bytes]  # a person's id → their key
    # Whether a person's key was destroyed: their id may still be in columns that are being emptied, and isn't judged.
    is_forgotten: Callable[[str], bool] = _nobody


class Fault(NamedTuple):
    """The first thing that is wrong with a log."""

    first_seq: int  # the first record that is wrong
    last_seq: int  # the last that may be the first: more than the first where only a checkpoint tells
    reason: str  # in capitals, for programs
    description: str


@dataclass(frozen=True)
class Verdict:
    """What became of checking a log."""

    records: int  # how many were looked at
    signed_records: int  # how many of them a checkpoint covers
    checkpoints: int  # how many fitted
    fault: Fault | None

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None


class LogCheck:
    """Checks a log from its first record on, or from behind a checkpoint that is trusted."""

    def __init__(
        self, keys: PeoplesKeys, checkpoints: Iterable[Checkpoint] = (), after: Checkpoint | None = None
    ) -> None:
        """Makes a check of which nothing is done yet.

        Args:
            keys: of the people whom the records name.
            checkpoints: what was signed of the records that are checked; the signatures themselves have been checked.
            after: where to begin; None for the first record.
        """
        self._keys = keys
        self._checkpoints = sorted(checkpoints, key=lambda checkpoint: checkpoint.size)
        self._next = 0  # checkpoint
        self._frontier = after.frontier if after else Frontier()
        self._previous = after.head if after else GENESIS
        self._fault: Fault | None = None

    @property
    def records(self) -> int:
        """The number of the last record that was looked at, and found to be right."""
        return self._frontier.size

    @property
    def frontier(self) -> Frontier:
        """The tree of the records so far."""
        return self._frontier

    def add(self, rows: Sequence[Row]) -> bool:
        """Looks at the next rows; returns whether there was nothing wrong so far."""
        if self._fault is not None:
            return False
        append = self._frontier.append
        due = self._due()
        for row in rows:
            expected = self._frontier.size + 1
            if row.seq != expected:
                self._fault = Fault(expected, expected, "RECORD_MISSING", f"Record {expected} is missing.")
                return False
            fault = fault_of(row, self._previous, self._keys)
            if fault is not None:
                self._fault = Fault(row.seq, row.seq, *fault)
                return False
            self._previous = row.hash
            append(row.hash)
            while row.seq == due:
                if not self._fits():
                    return False
                due = self._due()
        return True

    def finish(self) -> Verdict:
        """What became of it, once there are no more rows."""
        size = self._frontier.size
        if self._fault is None and self._next < len(self._checkpoints):
            longest = self._checkpoints[-1].size
            self._fault = Fault(
                size + 1,
                size + 1,
                "LOG_TRUNCATED",
                f"Record {size + 1} is missing, and all after it: the platform has signed {longest} records.",
            )
        return Verdict(size, self._signed(), self._next, self._fault)

    def _due(self) -> int:
        return self._checkpoints[self._next].size if self._next < len(self._checkpoints) else 0

    def _signed(self) -> int:
        return self._checkpoints[self._next - 1].size if self._next else 0

    def _fits(self) -> bool:
        checkpoint = self._checkpoints[self._next]
        if self._frontier.root() == checkpoint.root and self._previous == checkpoint.head:
            self._next += 1
            return True
        first = self._signed() + 1
        self._fault = Fault(
            first,
            checkpoint.size,
            "NOT_AS_SIGNED",
            f"The records up to {checkpoint.size} are not those that the platform signed on {checkpoint.time}: "
            f"the first that was changed is one of {first} to {checkpoint.size}.",
        )
        return False


def fault_of(row: Row, previous_hash: bytes, keys: PeoplesKeys) -> tuple[str, str] | None:
    """What is wrong with a record, as a reason and a description; None if nothing is.

    Args:
        row: the record.
        previous_hash: that of the record before.
        keys: of those whom the row names in the clear at least.
    """
    seq = row.seq
    if row.previous_hash != previous_hash:
        return "CHAIN_BROKEN", f"Record {seq} doesn't hold on to the record before it."
    if record_hash(previous_hash, row.text.encode()) != row.hash:
        return "RECORD_CHANGED", f"Record {seq} doesn't fit its hash: its text was changed."
    try:
        wrong = _wrong_columns(row, _decoded(row.text), keys)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "RECORD_CHANGED", f"Record {seq} is no record."
    if wrong:
        return "COLUMN_CHANGED", f"Record {seq} was changed: its {wrong} isn't what was hashed."
    return None


def _wrong_columns(row: Row, told: Mapping[str, Any], keys: PeoplesKeys) -> str:
    """The first column that isn't what the text says; empty if there is none."""
    # The order and the plain comparisons are for speed: nearly always all of it holds.
    event_id = str(row.event_id)
    if not (
        told["seq"] == row.seq
        and told["event_id"] == event_id
        and told["kind"] == row.kind
        and told["service"] == row.service
        and told["actor_role"] == row.actor_role
        and told["object_type"] == row.object_type
        and told["request_id"] == row.request_id
        and told["trace_id"] == row.trace_id
        and told["clock_offset_seconds"] == row.clock_offset_seconds
        and told["occurred_time"] == moment(row.occurred_time)
        and told["recorded_time"] == moment(row.recorded_time)
    ):
        return _first_difference(row, told)
    if not _same(row.attributes, row.text, told["attributes"]):
        return "attributes"
    if told["personal"] != sealed_digest(row.sealed):
        return "personal"
    people = _People(event_id, keys)
    if not people.fits("actor_id", told["actor_id"], row.actor_id):
        return "actor_id"
    if not people.fits("owner_id", told["owner_id"], row.owner_id):
        return "owner_id"
    if not people.fits("object_id", told["object_id"], row.object_id):
        return "object_id"
    related, told_related = _decoded(row.related), told["related"]
    if related != told_related and not (
        related.keys() == told_related.keys()
        and all(people.fits(f"related.{name}", told_related[name], related[name]) for name in related)
    ):
        return "related"
    return ""


def _same(column: str, text: str, told: Any) -> bool:
    """Whether a column's JSON says what was hashed."""
    value = _decoded(column)
    if value != told:
        return False
    # Python takes true for 1. To tell them apart is slow, and seldom needed.
    if "true" in column or "true" in text or "false" in column or "false" in text:
        return _of_one_kind(value, told)
    return True


def _of_one_kind(value: Any, equal: Any) -> bool:
    """Whether values that are equal are so in kind, too: a truth value is no number."""
    if isinstance(value, dict):
        return all(_of_one_kind(each, equal[name]) for name, each in value.items())
    if isinstance(value, list):
        return all(map(_of_one_kind, value, equal))
    return isinstance(value, bool) == isinstance(equal, bool)


def _first_difference(row: Row, told: Mapping[str, Any]) -> str:
    columns = row._asdict() | {
        "event_id": str(row.event_id),
        "occurred_time": moment(row.occurred_time),
        "recorded_time": moment(row.recorded_time),
    }
    plain = (
        "seq", "event_id", "kind", "service", "occurred_time", "recorded_time", "clock_offset_seconds", "actor_role",
        "object_type", "request_id", "trace_id",
    )  # fmt: skip
    return next(name for name in plain if told[name] != columns[name])


class _People:
    """Tells whether columns of one record are the ids that its commitments stand for."""

    def __init__(self, event_id: str, keys: PeoplesKeys) -> None:
        self._event_id = event_id
        self._keys = keys
        self._record_keys: dict[str, bytes] = {}

    def fits(self, place: str, told: str, column: UUID | str | None) -> bool:
        value = "" if column is None else str(column)
        if value == told:
            return True
        if not told.startswith(COMMITMENT_PREFIX):
            return False
        if column is None:  # the person has been forgotten
            return True
        record_key = self._record_keys.get(value)
        if record_key is None:
            key = self._keys.of.get(value)
            if key is None:
                return self._keys.is_forgotten(value)
            record_key = self._record_keys[value] = naming_key(key, self._event_id)
        return commitment(record_key, place, value) == told
