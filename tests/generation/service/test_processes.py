"""The worker as a process: killed, stopped, and what it leaves behind; and the service as a process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from deploy.local.object_store import EmbeddedObjectStore
from mirage.generation.v1 import job_pb2
from tests.generation.service.platform import Client, Platform, settings_for, until
from tests.generation.service.test_worker import ENDLESS, in_training
from tests.support.postgres import PostgresForTests

# Far longer than any test: whoever takes a dead worker's job over knows of the death by something else.
HEARTBEAT_S = 600


class WorkerProcess:
    """A worker in a process of its own; `temporary` is where its temporary files go."""

    def __init__(self, process: asyncio.subprocess.Process, temporary: Path) -> None:
        self.process = process
        self.temporary = temporary

    def below(self) -> list[psutil.Process]:
        """Every process below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workspaces(self) -> list[Path]:
        """What workers have on the disk."""
        return list(self.temporary.glob("mirage-*"))


@pytest.fixture
def environment(platform: Platform, postgres: PostgresForTests, object_store: EmbeddedObjectStore) -> dict[str, str]:
    """What a worker process is started with."""
    values = settings_for(
        postgres,
        object_store,
        platform.settings.auth_address,
        platform.settings.dataset_address,
        worker_heartbeat_seconds=HEARTBEAT_S,
    )
    return {
        name.upper(): str(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name, value in values.items()
    }


@asynccontextmanager
async def a_worker(environment: dict[str, str], temporary: Path) -> AsyncIterator[WorkerProcess]:
    """A worker process that serves; killed at the end unless it is gone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.generation.worker",
        env={"PATH": os.environ["PATH"], **environment, "TMPDIR": str(temporary)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = process.stdout
    async with asyncio.timeout(60):
        while json.loads(await lines.readline())["message"] != "serving":
            pass
    drain = asyncio.create_task(lines.read())
    try:
        yield WorkerProcess(process, temporary)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        sys.stdout.write((await drain).decode())  # pytest shows it where a test fails


async def attempt_in_training(user: Client, job_id: str, attempt: int) -> None:
    """Waits until a certain attempt at the job trains."""

    async def trains() -> bool:
        job = await user.get(job_id)
        return job.attempts == attempt and job.state == job_pb2.JOB_STATE_TRAINING and job.epoch > 0

    await until(trains)


async def test_a_worker_that_is_killed(platform: Platform, environment: dict[str, str], tmp_path: Path) -> None:
    """A worker killed in mid-training takes its processes along; another starts the job over and tidies up after it."""
    user = platform.user()
    job = await user.start(await platform.dataset(user), model_config=ENDLESS)
    async with a_worker(environment, tmp_path) as killed:
        await in_training(user, job.job_id)
        below = killed.below()
        assert len(below) >= 2, "a launcher and the training"
        killed.process.kill()
        await killed.process.wait()

        async def all_gone() -> bool:
            return not any(process.is_running() and process.status() != "zombie" for process in below)

        await until(all_gone, timeout_s=10)
        [left_behind] = killed.workspaces()
    async with a_worker(environment, tmp_path) as other:
        assert left_behind not in other.workspaces()
        await attempt_in_training(user, job.job_id, 2)
        await user.cancel(job.job_id)
    events = await user.events(job.job_id)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    messages = [event.message for event in events if event.message]
    assert messages == ["The worker was lost; another starts over", "Attempt 2"]


async def test_a_worker_that_is_stopped(platform: Platform, environment: dict[str, str], tmp_path: Path) -> None:
    """SIGTERM gives the running job back at once, ends every process, leaves nothing on the disk, and exits with 0."""
    user = platform.user()
    job = await user.start(await platform.dataset(user), model_config=ENDLESS)
    async with a_worker(environment, tmp_path) as stopped:
        await in_training(user, job.job_id)
        below = stopped.below()
        stopped.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            assert await stopped.process.wait() == 0
        assert not any(process.is_running() and process.status() != "zombie" for process in below)
        assert stopped.workspaces() == []
    back = await user.get(job.job_id)
    assert (back.state, back.attempts) == (job_pb2.JOB_STATE_QUEUED, 1)
    assert "stops" in [event for event in await _seen(user, job.job_id) if event.message][-1].message


def test_wrong_settings_are_all_named(environment: dict[str, str]) -> None:
    """A worker with wrong settings says each one's name, fault and example, and exits with 2."""
    wrong = {**environment, "WORKER_SLOTS": "0", "DATASET_ADDRESS": "", "DATABASE_URL": "mysql://nothing"}
    process = subprocess.run(
        [sys.executable, "-m", "services.generation.worker"],
        env={"PATH": os.environ["PATH"], **wrong},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 2
    for name in ("WORKER_SLOTS", "DATASET_ADDRESS", "DATABASE_URL"):
        assert name in process.stderr
    assert "mysql://nothing" not in process.stderr


async def _seen(user: Client, job_id: str) -> list[job_pb2.JobEvent]:
    """What a watcher of a job that goes on has seen by the first heartbeat."""
    events: list[job_pb2.JobEvent] = []
    call = user.jobs.WatchJob(job_pb2.WatchJobRequest(job_id=job_id))
    async for event in call:
        if event.kind == "heartbeat":
            break
        events.append(event)
    call.cancel()
    return events
