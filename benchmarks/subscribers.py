"""How soon a thousand subscribers hear of progress."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

from benchmarks.measuring import Bench, bench, process_of
from servicekit.database import Database
from services.generation import events, repository

SUBSCRIBERS = 1000
EVENTS = 10  # a job, one each second
TABLE = Path(__file__).resolve().parent.parent / "demo" / "flights.csv"


def run() -> Iterator[str]:
    """1,000 progress streams of one generation process: from an event's commit to its receipt by each subscriber."""
    with bench(REQUIRE_APPROVAL="true") as made:  # jobs that wait, so that nothing but ours happens to them
        dataset = made.client.datasets.upload(TABLE)
        for jobs in (50, 1):
            ids = [
                made.client.generate(dataset, "gaussian_copula", wait=False, name=f"{jobs}-{number}").id
                for number in range(jobs)
            ]
            delays, memory = _measure(made, ids)
            ordered = sorted(delays)
            p50, p99 = (ordered[int(share * (len(ordered) - 1))] * 1000 for share in (0.5, 0.99))
            yield (
                f"{SUBSCRIBERS} subscribers of {jobs:>2} jobs, an event a job and second: "
                f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {ordered[-1] * 1000:.0f} ms (n={len(ordered):,}); "
                f"{memory / 1024:.0f} KiB a subscriber"
            )


def _measure(made: Bench, job_ids: Sequence[str]) -> tuple[list[float], float]:
    """Every subscriber's delay of every event in seconds, and the service's memory a subscriber in bytes."""
    service = process_of("services.generation")
    before = service.memory_info().rss
    told = {
        "job_ids": [job_ids[index % len(job_ids)] for index in range(SUBSCRIBERS)],
        "authorization": f"Bearer {made.access_token}",
    }
    address = made.platform.base.addresses["GENERATION_ADDRESS"]
    command = [sys.executable, "-m", "benchmarks.watch", address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdin
        assert watching.stdout
        watching.stdin.write(json.dumps(told) + "\n")
        watching.stdin.flush()
        assert watching.stdout.readline() == "begun\n"
        memory = (service.memory_info().rss - before) / SUBSCRIBERS
        committed = asyncio.run(_happen(made, job_ids))
        received = json.loads(watching.stdout.readline())
    assert len(received) == SUBSCRIBERS * EVENTS, len(received)
    return [at - committed[job_id, sequence] for job_id, sequence, at in received], memory


async def _happen(made: Bench, job_ids: Sequence[str]) -> dict[tuple[str, int], float]:
    """Lets events happen to the jobs, spread evenly; returns when each was about to be committed (Unix time)."""
    committed: dict[tuple[str, int], float] = {}
    database = Database(made.platform.base.database_url("generation"), pool_size=1)
    began = time.monotonic()
    for turn in range(EVENTS * len(job_ids)):
        await asyncio.sleep(began + turn / len(job_ids) - time.monotonic())
        async with database.sessions() as session:
            job = await repository.lock_any_job(session, UUID(job_ids[turn % len(job_ids)]))
            assert job
            await events.record(session, job, events.EventKind.NOTICE, "measured")
            committed[str(job.id), job.last_seq] = time.time()
            await session.commit()
    await database.close()
    return committed
