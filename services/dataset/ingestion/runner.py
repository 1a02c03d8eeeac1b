"""Runs ingestions in child processes, so that neither their work nor their end touches the process that serves.

A child takes one task after another, for starting one costs half a second. One that has grown large is let go after its
task, and so is one that was ended in the middle of a task: because its caller was cancelled, or its memory or its time
used up.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import structlog

from servicekit.errors import TEMPORARY, StorageFull
from services.dataset.ingestion.faults import Fault, Reason, TypesDontFit
from services.dataset.ingestion.messages import Message, Said
from services.dataset.ingestion.tasks import Outcome, Report, Task

log = structlog.get_logger(__name__)

# What of this process's environment a child gets to see; none of it is secret.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")
_ROOT = Path(__file__).resolve().parents[3]
_LONGEST_MESSAGE = 256 * 1024 * 1024  # a profile of thousands of columns is large
_LARGE_BYTES = 512 * 1024 * 1024
_LOOK_S = 0.25
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class IngestionCrashed(Exception):
    """An error in the child that nobody foresaw; where it was is in the log."""


class _Gone(Exception):
    """The child ended in the middle of a task."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class IngestionRunner:
    """Child processes that read files in.

    `memory_limit_bytes` is the most that one may have resident, `time_limit_s` the longest that a file may take.
    """

    def __init__(self, *, memory_limit_bytes: int = 2 * 1024**3, time_limit_s: float = 1800.0) -> None:
        self._memory_limit_bytes = memory_limit_bytes
        self._time_limit_s = time_limit_s
        self._idle: list[_Child] = []
        self._children: set[_Child] = set()

    async def start(self) -> None:
        """Starts a child, so that the first file needn't wait for it."""
        self._idle.append(await self._new())

    async def close(self) -> None:
        """Ends every child."""
        self._idle.clear()
        await asyncio.gather(*(self._end(child) for child in list(self._children)))

    async def ingest(self, task: Task, report: Report) -> Outcome:
        """Reads a file in. When it is cancelled, the child is gone before it returns.

        Raises:
            Fault: the file can't be read, or takes too much memory or time.
            TypesDontFit: a type set by hand doesn't hold every value.
            StorageFull: there is no room for the table that is made of it.
            IngestionCrashed: something went wrong on our side.
        """
        child = self._idle.pop() if self._idle else await self._new()
        fresh = child.tasks == 0
        try:
            return await self._ask(child, task, report)
        except _Gone as gone:
            if not fresh:  # perhaps for what it did before
                return await self._ask_fresh(task, report)
            raise _fault_of(gone) from None

    async def _ask_fresh(self, task: Task, report: Report) -> Outcome:
        try:
            return await self._ask(await self._new(), task, report)
        except _Gone as gone:
            raise _fault_of(gone) from None

    async def _ask(self, child: "_Child", task: Task, report: Report) -> Outcome:
        kept = False
        try:
            async with asyncio.timeout(self._time_limit_s):
                message = await child.work(task, report, self._memory_limit_bytes)
            kept = message.peak_bytes < _LARGE_BYTES
        except TimeoutError:
            log.warning("ingestion_out_of_time", limit_s=self._time_limit_s)
            raise _too_much_time(self._time_limit_s) from None
        finally:
            if kept:
                self._idle.append(child)
            else:
                await asyncio.shield(self._end(child))
        return _outcome_of(message)

    async def _new(self) -> "_Child":
        child = await _Child.start()
        self._children.add(child)
        return child

    async def _end(self, child: "_Child") -> None:
        self._children.discard(child)
        await child.end()


class _Child:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._too_large = False
        self.tasks = 0

    @classmethod
    async def start(cls) -> "_Child":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.dataset.ingestion",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            cwd=_ROOT,
            limit=_LONGEST_MESSAGE,
            start_new_session=True,  # Ctrl-C is for the process that serves
        )
        return cls(process)

    async def work(self, task: Task, report: Report, memory_limit_bytes: int) -> Message:
        """Has a task done; returns the last message about it.

        Raises:
            Fault: the child had more memory than is allowed; it is gone.
            _Gone: it is gone by itself.
        """
        self.tasks += 1
        watch = asyncio.create_task(self._watch_memory(memory_limit_bytes))
        try:
            return await self._converse(task, report)
        except _Gone:
            if self._too_large:
                raise _too_much_memory() from None
            raise
        finally:
            watch.cancel()

    async def end(self) -> None:
        """Ends the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _converse(self, task: Task, report: Report) -> Message:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:  # pragma: no cover - both were asked for
            raise RuntimeError("the child has no pipes")
        with suppress(ConnectionError):  # that it is gone is seen below
            stdin.write(task.model_dump_json().encode() + b"\n")
            await stdin.drain()
        while line := await stdout.readline():
            message = Message.model_validate_json(line)
            if message.said is not Said.PROGRESS:
                return message
            stage, progress, rows = message.content
            report(stage, progress, rows)
        raise _Gone(await self._process.wait())

    async def _watch_memory(self, limit_bytes: int) -> None:
        """Ends the process when it has too much resident memory; where the system doesn't tell, never."""
        while (resident := _resident_bytes(self._process.pid)) is not None:
            if resident > limit_bytes:
                log.warning("ingestion_out_of_memory", resident_bytes=resident)
                self._too_large = True
                with suppress(ProcessLookupError):
                    self._process.kill()
                return
            await asyncio.sleep(_LOOK_S)


def _resident_bytes(process_id: int) -> int | None:
    """A process's resident memory; None where the system doesn't tell."""
    try:
        return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return None


def _outcome_of(message: Message) -> Outcome:
    match message.said:
        case Said.OUTCOME:
            return Outcome.model_validate(message.content)
        case Said.FAULT:
            reason, text = message.content
            raise Fault(Reason(reason), text)
        case Said.MISFIT:
            raise TypesDontFit(message.content)
        case Said.OUT_OF_MEMORY:
            raise _too_much_memory()
        case Said.DISK_FULL:
            raise StorageFull(TEMPORARY)
    log.error("ingestion_child_failed", **message.content)
    raise IngestionCrashed(message.content["error"])


def _fault_of(gone: _Gone) -> Fault:
    log.error("ingestion_child_gone", status=gone.status)
    if gone.status == -signal.SIGKILL:  # the system's own watch over memory ends processes so
        return _too_much_memory()
    return Fault(Reason.UNREADABLE, "The file ends the program that reads it: it is probably damaged. Write it again.")


def _too_much_memory() -> Fault:
    return Fault(
        Reason.NEEDS_TOO_MUCH_MEMORY, "Reading the file takes more memory than is allowed: save it as CSV or Parquet."
    )


def _too_much_time(limit_s: float) -> Fault:
    return Fault(
        Reason.TAKES_TOO_LONG,
        f"Reading the file took longer than the {limit_s:,.0f} seconds allowed: upload fewer rows or columns, or ask "
        "for a higher limit.",
    )
