"""The service as a process: killed, stopped, started again, and what its log says."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import psutil
import pytest

from deploy.local.object_store import EmbeddedObjectStore
from mirage.dataset.v1 import dataset_pb2 as pb
from tests.dataset.service.platform import Client, Platform, Surroundings, environment_of, open_surroundings, until
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

ROWS = 400_000
LARGE = b"number,text\n" + b"".join(b"%d,text %d\n" % (number, number % 1000) for number in range(ROWS))
SECRET_CELL = "Leopoldine-Unverwechselbar"


@pytest.fixture
async def surroundings(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, tmp_path: Path
) -> AsyncIterator[Surroundings]:
    """What processes of the service stand on; that one is dead is known by something else than its long silence."""
    changes = {"ingestion_heartbeat_seconds": 600.0, "ingestion_max_losses": 2}
    async with open_surroundings(postgres, object_store, tokens, tmp_path, **changes) as opened:
        yield opened


@dataclass
class ServiceProcess:
    """The service in a process of its own."""

    process: asyncio.subprocess.Process
    platform: Platform
    lines: list[dict[str, Any]] = field(default_factory=list)

    async def kill(self) -> None:
        """Ends it as a power cut would, and waits until its children are gone too."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        assert below, "a child that reads"
        self.process.kill()
        await self.process.wait()

        async def all_gone() -> bool:
            return not any(child.is_running() and child.status() != "zombie" for child in below)

        await until(all_gone)


@asynccontextmanager
async def a_process(surroundings: Surroundings) -> AsyncIterator[ServiceProcess]:
    """A process that serves; killed at the end unless it is gone."""
    environment = environment_of(surroundings.settings)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.dataset",
        env={"PATH": os.environ["PATH"], **environment, "TMPDIR": str(surroundings.scratch)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while not lines or lines[-1]["message"] != "serving":
            lines.append(json.loads(await process.stdout.readline()))
    rest = asyncio.create_task(_read(process.stdout, lines))
    try:
        async with grpc.aio.insecure_channel(lines[-1]["metadata"]["address"]) as channel:
            yield ServiceProcess(process, surroundings.platform(channel), lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await rest
        sys.stdout.write("\n".join(map(str, lines)))  # pytest shows it where a test fails


async def _read(source: asyncio.StreamReader, lines: list[dict[str, Any]]) -> None:
    async for line in source:
        lines.append(json.loads(line))  # noqa: PERF401 - others look at them meanwhile


async def being_read(user: Client, dataset_id: str) -> pb.DatasetEvent:
    """Returns the event that says that the file is being read in."""
    async for event in user.watch(dataset_id):
        if event.stage == "reading":
            return event  # type: ignore[no-any-return]
    raise AssertionError("the dataset was ready before it was looked at")


async def test_a_process_that_is_killed(surroundings: Surroundings) -> None:
    """A process killed in mid-ingestion takes its children along; the next reads the file in, once, and tidies up."""
    async with a_process(surroundings) as killed:
        user = killed.platform.user()
        dataset = await user.upload(LARGE, wait=False)
        seen = await being_read(user, dataset.dataset_id)
        await killed.kill()
    assert killed.platform.private_files()
    async with a_process(surroundings) as other:
        user = Client(other.platform.channel, user.user_id, surroundings.tokens.user(user.user_id))
        events = await user.events(dataset.dataset_id, seen.resume_token)
        assert [event.sequence for event in events] == list(range(seen.sequence + 1, seen.sequence + 1 + len(events)))
        assert [event.stage for event in events].count("ready") == 1
        assert (await user.get(dataset.dataset_id)).row_count == ROWS
        assert len(await other.platform.objects(user)) == 2

        async def queue_is_empty() -> bool:  # the row goes a moment after the last event
            return await other.platform.count("pgqueuer") == 0

        await until(queue_is_empty)
        await user.delete(dataset.dataset_id)
        assert await other.platform.nothing_left(user)


@pytest.mark.slow
async def test_a_file_that_kills(surroundings: Surroundings) -> None:
    """A file whose reading has ended the process several times fails, saying so, and isn't tried again."""
    dataset_id = ""
    user_id = None
    for _ in range(2):
        async with a_process(surroundings) as doomed:
            user = Client(doomed.platform.channel, user_id, surroundings.tokens.user(user_id)) if user_id else None
            if user is None:
                user = doomed.platform.user()
                user_id = user.user_id
                dataset_id = (await user.upload(LARGE, wait=False)).dataset_id
                await being_read(user, dataset_id)
            else:

                async def begun() -> bool:
                    return any(line["message"] == "ingestion_begun" for line in doomed.lines)

                await until(begun)
            await doomed.kill()
    async with a_process(surroundings) as last:
        assert user_id is not None
        user = Client(last.platform.channel, user_id, surroundings.tokens.user(user_id))
        event = (await user.events(dataset_id))[-1]
        assert event.stage == "failed"
        assert "several times" in event.error.message
        async with refused("DATASET_NOT_READY"):
            await user.rows(dataset_id)


async def test_a_process_that_is_stopped(surroundings: Surroundings) -> None:
    """SIGTERM gives the file being read back, leaves nothing on the disk and exits with 0; the next reads it in."""
    async with a_process(surroundings) as stopped:
        user = stopped.platform.user()
        dataset = await user.upload(LARGE, wait=False)
        await being_read(user, dataset.dataset_id)
        stopped.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(stopped.process.wait(), 30) == 0
    assert [line["message"] for line in stopped.lines][-1] == "stopped"
    assert list(surroundings.scratch.iterdir()) == []
    async with a_process(surroundings) as other:
        user = Client(other.platform.channel, user.user_id, surroundings.tokens.user(user.user_id))
        events = await user.events(dataset.dataset_id)
        assert [event.stage for event in events].count("received") == 2
        assert events[-1].stage == "ready"


async def test_the_log(surroundings: Surroundings) -> None:
    """The log is JSON with what matters, and holds no cell of a table, be it read well, read badly or found wanting."""
    async with a_process(surroundings) as process:
        user = process.platform.user()
        dataset = await user.upload(f"name,age\n{SECRET_CELL},3\nb,4\n".encode())
        await user.rows(dataset.dataset_id)
        await user.export(dataset.dataset_id, "json")
        async with refused("INVALID_REQUEST"):
            await user.update(dataset.dataset_id, [{"name": "name", "type": "integer"}])
        async with refused("DATASET_UNREADABLE"):
            await user.upload(f'[{{"name": "{SECRET_CELL}"}}, {{"name": "{SECRET_CELL}" oh'.encode())
        process.process.send_signal(signal.SIGTERM)
        await process.process.wait()
    assert {"ingestion_begun", "ingestion_ended", "ingestion_failed"} <= {line["message"] for line in process.lines}
    assert SECRET_CELL not in json.dumps(process.lines)
    assert all({"timestamp", "level", "module", "service"} <= set(line) for line in process.lines)
