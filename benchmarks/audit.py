"""How long it takes to check the whole log, to prove one record of it, and to show where a table came from."""

import asyncio
import os
import resource
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

from benchmarks.measuring import Stopwatch, platform_at, told
from mirage.activity.v1 import event_pb2
from servicekit.database import Database
from servicekit.ids import new_id
from servicekit.structs import to_struct
from servicekit.timestamps import to_timestamp, utc_now
from services.activity import evidence, provenance, recording
from services.activity.audit_keys import AuditKeys
from services.activity.checkpoints import Checkpoints
from services.activity.convert import happening_of
from services.activity.log_audit import LogAudit

RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
RUNS = 3
_BATCH = 1_000
_PEOPLE = 1_000
_EVENTS_A_TABLE = 10


def run() -> Iterator[str]:
    """Every record and checkpoint of a log of a million records, in a process of its own beside PostgreSQL."""
    with tempfile.TemporaryDirectory() as directory, platform_at(Path(directory) / "home") as platform:
        yield from asyncio.run(_measured(platform.base.database_url("activity"), platform.base.credentials.audit_keys))


async def _measured(database_url: str, keys_directory: Path) -> list[str]:
    database = Database(database_url)
    keys = AuditKeys(keys_directory)
    checkpoints = Checkpoints(database.sessions, keys)
    audit = LogAudit(database.sessions, keys, checkpoints)
    try:
        with Stopwatch() as filling:
            owner, job_id = await _fill(database)
        with Stopwatch() as signing:
            await checkpoints.sign_all()
        seconds, processor = [], []
        for _ in range(RUNS):
            before = _processor_s()
            with Stopwatch() as watch:
                verdict = await audit.verdict()
            assert verdict.intact, verdict.fault
            seconds.append(watch.seconds)
            processor.append(_processor_s() - before)
        shown, exported = [], []
        for _ in range(RUNS):
            with Stopwatch() as watch:
                async with database.sessions() as session:
                    chain = await provenance.chain_of(session, job_id, owner)
            shown.append(watch.seconds)
            with Stopwatch() as watch:
                async with database.sessions() as session:
                    await evidence.document_of(session, job_id, chain.records, keys, owner)
            exported.append(watch.seconds)
    finally:
        await database.close()
    return [
        f"{verdict.records:,} records of {_PEOPLE:,} people, {verdict.checkpoints:,} checkpoints",
        f"written and chained, {_BATCH:,} in a transaction    {verdict.records / filling.seconds:10,.0f} records/s",
        f"what was left of them signed                   {signing.seconds:10.2f} s",
        told("the whole log checked", seconds),
        told("the same, this process's own time", processor),
        told(f"a table's chain found ({len(chain.records)} records)", shown),
        told("the same proven, signed and checked again", exported),
    ]


async def _fill(database: Database) -> tuple[UUID, str]:
    """Writes a log; returns a person of it, and a job of theirs in its middle."""
    people = [uuid4() for _ in range(_PEOPLE)]
    chosen: tuple[UUID, str] = (people[0], "")
    for start in range(0, RECORDS, _BATCH):
        tables = [(people[number % _PEOPLE], str(new_id())) for number in range(start, start + _BATCH, _EVENTS_A_TABLE)]
        events = [event for owner, job_id in tables for event in _table(owner, job_id)][: RECORDS - start]
        async with database.sessions.begin() as session:
            await recording.record(session, "generation", [happening_of(event) for event in events])
        if start <= RECORDS // 2:
            chosen = tables[0]
    return chosen


def _table(owner: UUID, job_id: str) -> Sequence[event_pb2.Event]:
    dataset_id = str(new_id())
    kinds = ["job.created", "job.started", "job.succeeded", *["report.viewed", "table.downloaded"] * 3]
    related = {"dataset_id": dataset_id, "dataset_version_id": f"{dataset_id}:1"}
    upload = _event("dataset.uploaded", owner, "dataset", dataset_id, {}, {"file_name": f"{dataset_id}.csv"})
    return [upload, *(_event(kind, owner, "job", job_id, related, {}) for kind in kinds)]


def _event(
    kind: str, owner: UUID, object_type: str, object_id: str, related: dict[str, str], personal: dict[str, str]
) -> event_pb2.Event:
    facts = {
        "model_type": "ctgan",
        "engine": "mirage",
        "settings": {"epochs": 150, "batch_size": 500, "generator_dim": [256, 256], "generator_lr": 2e-4},
        "seed": 42,
        "rows": 5000,
        "table_sha256": "0" * 64,
    }
    return event_pb2.Event(
        event_id=str(new_id()),
        kind=kind,
        occurred_time=to_timestamp(utc_now()),
        actor_id=str(owner),
        actor_role="user",
        owner_id=str(owner),
        object_type=object_type,
        object_id=object_id,
        related=related,
        attributes=to_struct(facts),
        personal=to_struct(personal),
        request_id=str(uuid4()),
        trace_id=uuid4().hex,
    )


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
