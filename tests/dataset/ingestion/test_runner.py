"""Ingestion in child processes: what they answer, and how they end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from servicekit.column_types import ColumnType
from services.dataset.ingestion.faults import Fault, Reason, TypesDontFit
from services.dataset.ingestion.runner import IngestionRunner
from services.dataset.ingestion.tasks import Limits, Task

ROOT = Path(__file__).resolve().parents[3]
_DEADLINE_S = 60.0


@pytest.fixture
async def runner() -> AsyncIterator[IngestionRunner]:
    """A runner whose children end with the test."""
    runner = IngestionRunner()
    yield runner
    await runner.close()


def _task(directory: Path, name: str, content: str, **options: dict[str, ColumnType]) -> Task:
    source = directory / f"{name}.csv"
    source.write_text(content)
    work = directory / f"{name}-work"
    work.mkdir()
    return Task(source=source, directory=work, **options)


def _large(directory: Path) -> Task:
    """A task that takes long enough to be interrupted."""
    return _task(directory, "large", "a,b\n" + "".join(f"{n},text number {n}\n" for n in range(400_000)))


def _silent(_stage: str, _progress: float, _rows: int) -> None:
    """Nobody listens."""


def _child_ids(runner: IngestionRunner) -> set[int]:
    return {child._process.pid for child in runner._children}


def _is_gone(process_id: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has ended too."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _environment(process_id: int) -> bytes:
    return Path(f"/proc/{process_id}/environ").read_bytes()


async def test_outcome_and_progress(runner: IngestionRunner, tmp_path: Path) -> None:
    """A child reads a file in, tells how far it is, and takes the next file."""
    heard: list[tuple[str, float, int]] = []
    await runner.start()
    [child] = _child_ids(runner)
    for name in ("first", "second"):
        outcome = await runner.ingest(
            _task(tmp_path, name, "a,b\n1,x\n2,y\n"), lambda *progress: heard.append(progress)
        )
        assert outcome.row_count == 2
        assert outcome.table.exists()
    assert _child_ids(runner) == {child}
    assert {stage for stage, _, _ in heard} == {"reading", "profiling"}
    assert [progress for _, progress, _ in heard[: len(heard) // 2]] == sorted(
        progress for _, progress, _ in heard[: len(heard) // 2]
    )


async def test_faults_come_back(runner: IngestionRunner, tmp_path: Path) -> None:
    """What is wrong with a file is told as if it had been read in this process, and the child stays."""
    with pytest.raises(Fault, match="Line 2 has 1 cell") as fault:
        await runner.ingest(_task(tmp_path, "ragged", "a,b\n1\n"), _silent)
    assert fault.value.reason is Reason.UNREADABLE
    with pytest.raises(TypesDontFit) as misfit:
        await runner.ingest(_task(tmp_path, "typed", "a\nx\n", required={"a": ColumnType.INTEGER}), _silent)
    assert set(misfit.value.faults) == {"a"}
    assert len(_child_ids(runner)) == 1


async def test_files_side_by_side(runner: IngestionRunner, tmp_path: Path) -> None:
    """Files are read in at the same time, each by a child of its own."""
    tasks = [_task(tmp_path, str(number), f"a\n{number}\n") for number in range(2)]
    outcomes = await asyncio.gather(*(runner.ingest(task, _silent) for task in tasks))
    assert [outcome.row_count for outcome in outcomes] == [1, 1]
    assert len(_child_ids(runner)) == 2


async def test_cancelling_ends_the_child(runner: IngestionRunner, tmp_path: Path) -> None:
    """When a caller is cancelled, the child that worked for it is gone."""
    begun = asyncio.Event()
    work = asyncio.create_task(runner.ingest(_large(tmp_path), lambda *_: begun.set()))
    await begun.wait()
    [child] = _child_ids(runner)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert _is_gone(child)
    assert (await runner.ingest(_task(tmp_path, "next", "a\n1\n"), _silent)).row_count == 1


async def test_the_databases_memory_is_limited(runner: IngestionRunner, tmp_path: Path) -> None:
    """A file for which the database has too little memory fails with the same reason, not as a fault of ours."""
    task = _large(tmp_path).model_copy(update={"limits": Limits(database_memory_bytes=500_000)})
    with pytest.raises(Fault) as fault:
        await runner.ingest(task, _silent)
    assert fault.value.reason is Reason.NEEDS_TOO_MUCH_MEMORY


async def test_memory_is_limited(tmp_path: Path) -> None:
    """A file that takes too much memory fails with a reason; the process that serves goes on."""
    runner = IngestionRunner(memory_limit_bytes=20 * 1024**2)
    with pytest.raises(Fault) as fault:
        await runner.ingest(_large(tmp_path), _silent)
    assert fault.value.reason is Reason.NEEDS_TOO_MUCH_MEMORY
    assert not _child_ids(runner)


async def test_time_is_limited(tmp_path: Path) -> None:
    """A file that keeps its reader busy for too long fails with a reason, and the reader is gone."""
    runner = IngestionRunner(time_limit_s=0.2)
    with pytest.raises(Fault, match=r"took longer than") as fault:
        await runner.ingest(_large(tmp_path), _silent)
    assert fault.value.reason is Reason.TAKES_TOO_LONG
    assert not _child_ids(runner)


async def test_a_child_that_dies(runner: IngestionRunner, tmp_path: Path) -> None:
    """A child that dies over a file is told as a fault of the file; one that died before it is replaced."""
    await runner.ingest(_task(tmp_path, "first", "a\n1\n"), _silent)
    [child] = _child_ids(runner)
    os.kill(child, signal.SIGKILL)
    assert (await runner.ingest(_task(tmp_path, "second", "a\n1\n"), _silent)).row_count == 1

    def kill(*_: object) -> None:
        for process_id in _child_ids(runner):
            os.kill(process_id, signal.SIGSEGV)

    with pytest.raises(Fault, match="ends the program that reads it") as fault:
        await runner.ingest(_large(tmp_path), kill)
    assert fault.value.reason is Reason.UNREADABLE


def test_children_end_with_their_parent() -> None:
    """A process that is killed leaves no child behind."""
    program = (
        "import asyncio, sys\n"
        "from services.dataset.ingestion.runner import IngestionRunner\n"
        "async def main():\n"
        "    runner = IngestionRunner()\n"
        "    await runner.start()\n"
        "    [child] = runner._children\n"
        "    print(child._process.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not _is_gone(child)
        parent.kill()
    deadline = time.monotonic() + _DEADLINE_S
    while not _is_gone(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_a_child_sees_no_secrets(runner: IngestionRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a child holds none of the service's settings."""
    monkeypatch.setenv("S3_SECRET_KEY", "very-secret")
    await runner.start()
    [child] = _child_ids(runner)
    assert b"very-secret" not in _environment(child)
