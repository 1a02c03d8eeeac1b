"""One child process as its runner sees it: what it says, what it may take, and how it is ended."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import structlog
from pydantic import ValidationError

from services.generation.engines.protocol import Failure
from services.generation.training.events import EVENTS, Broke, Event, Exited, Failed, Started
from services.generation.training.memory import resident_mb
from services.generation.training.spec import WorkSpec

LONGEST_LINE = 1 << 24
WATCH_INTERVAL_S = 0.2
# How long a child that was asked to end may take before it is killed, and then until it is gone.
GRACE_S = 0.8
GONE_S = 5.0

T = TypeVar("T")

logger = structlog.get_logger()


class Child:
    """A child process at work.

    After the last event, `failure` says why it came to nothing, `broken` tells of an error nobody foresaw, and
    `exit_code` is how it ended (None if nobody knows). `memory_mb` is what it had of resident memory, with all that it
    started, when it was last looked at.
    """

    def __init__(self, transport: asyncio.ReadTransport, reader: asyncio.StreamReader, rows: BinaryIO | None) -> None:
        self.failure: Failure | None = None
        self.broken: Broke | None = None
        self.exit_code: int | None = None
        self.memory_mb = 0.0
        self._transport = transport
        self._rows = rows
        self._reading: asyncio.Future[Any] | None = None
        self._pid: int | None = None
        self._started, self._gone = asyncio.Event(), asyncio.Event()
        self._heard: asyncio.Queue[Event] = asyncio.Queue()
        self._listening = asyncio.create_task(self._listen(reader))
        self._guards: list[asyncio.Task[None]] = []
        self._memory_failure: Failure | None = None

    @classmethod
    async def launched(cls, control: socket.socket, work: str, spec: WorkSpec) -> "Child":
        """Asks a launcher for a child. Raises OSError if the launcher is gone."""
        inherited, kept = [_file_of(spec.model_dump_json().encode())], []
        try:
            for _ in range(2 if work == "sample" else 1):
                read_end, write_end = os.pipe2(os.O_CLOEXEC)
                kept.append(read_end)
                inherited.append(write_end)
            socket.send_fds(control, [json.dumps({"work": work}).encode()], inherited)
        except OSError:
            for descriptor in kept:
                os.close(descriptor)
            raise
        finally:
            for descriptor in inherited:
                os.close(descriptor)
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        loop = asyncio.get_running_loop()
        events = os.fdopen(kept[0], "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), events)
        return cls(transport, reader, os.fdopen(kept[1], "rb") if len(kept) > 1 else None)

    def limit(self, seconds: float, memory_mb: int | None, time_failure: Failure, memory_failure: Failure) -> None:
        """Ends the child when it has taken too long or too much memory, and makes that its failure."""
        self._memory_failure = memory_failure
        self._guards.append(asyncio.create_task(self._guard_time(seconds, time_failure)))
        if memory_mb is not None:
            self._guards.append(asyncio.create_task(self._guard_memory(memory_mb)))

    def advise_on_memory(self, failure: Failure) -> None:
        """Replaces what is said when the memory is used up, once more is known of the table."""
        self._memory_failure = failure

    async def events(self) -> AsyncIterator[Event]:
        """What the child says, until it is gone."""
        while True:
            event = await self._heard.get()
            if isinstance(event, Exited):
                return
            yield event

    async def batches(self) -> AsyncIterator[pa.RecordBatch]:
        """The rows that the child sends. Raises ArrowInvalid or OSError if it breaks off."""
        reader = await self._read(lambda: pa.ipc.open_stream(self._rows))
        while (batch := await self._read(lambda: _next_batch(reader))) is not None:
            yield batch

    async def end(self) -> None:
        """Ends the child and everything it started, unless it is gone already."""
        for guard in self._guards:
            guard.cancel()
        if not self._gone.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._started.wait(), GRACE_S)
            self._signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), GRACE_S)
        if not self._gone.is_set():
            self._signal(signal.SIGKILL)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), GONE_S)
        self._listening.cancel()
        self._transport.close()
        if self._reading is not None:
            with suppress(Exception):  # the pipe's other end is closed, which ends it one way or another
                await self._reading
        if self._rows is not None:
            self._rows.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Takes in what the child says. The last word is the launcher's, that the child is gone."""
        try:
            while line := await reader.readline():
                event = _event(line)
                if isinstance(event, Started):
                    self._pid = event.pid
                    self._started.set()
                elif isinstance(event, Failed):
                    self.failure = self.failure or Failure(event.reason, event.message, **event.metadata)
                elif isinstance(event, Broke):
                    self.broken = event
                elif isinstance(event, Exited):
                    self.exit_code = event.code
                    return
                elif event is not None:
                    self._heard.put_nowait(event)
        finally:
            self._started.set()
            self._gone.set()
            self._heard.put_nowait(Exited(code=0))

    async def _guard_time(self, seconds: float, failure: Failure) -> None:
        await asyncio.sleep(seconds)
        self._put_down(failure)

    async def _guard_memory(self, limit_mb: int) -> None:
        await self._started.wait()
        while self._pid is not None and not self._gone.is_set():
            self.memory_mb = resident_mb(self._pid)
            if self.memory_mb > limit_mb and self._memory_failure is not None:
                self._put_down(self._memory_failure)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), WATCH_INTERVAL_S)

    def _put_down(self, failure: Failure) -> None:
        if not self._gone.is_set():
            self.failure = self.failure or failure
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """Signals the child's whole group, unless the launcher has said that it is gone."""
        if self._pid is not None and not self._gone.is_set():
            with suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    async def _read(self, read: Callable[[], T]) -> T:
        """Reads from the child in a thread, which goes on to its end even if nobody waits for it any more."""
        self._reading = asyncio.ensure_future(asyncio.to_thread(read))
        result: T = await asyncio.shield(self._reading)
        return result


def _event(line: bytes) -> Event | None:
    """What a line says; None for one that breaks off because the child was killed while it wrote."""
    if not line.strip():
        return None
    try:
        return EVENTS.validate_json(line)
    except ValidationError:
        logger.warning("training_event_broken_off", length=len(line))
        return None


def _next_batch(reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _file_of(content: bytes) -> int:
    """A file without a name that holds the content, as a descriptor at its beginning."""
    descriptor = os.memfd_create("spec", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
