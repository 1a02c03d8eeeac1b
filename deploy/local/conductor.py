"""Starts parts as soon as what they need is ready, watches them, and stops them in the reverse order."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.part import Part
from deploy.local.supervision import ProcessState, Supervisor

Report = Callable[[str], None]
"""Takes one line for a person to read."""

_POLL_SECONDS = 0.1
_WATCH_SECONDS = 0.5
_LAST_LINES = 15


class PlatformFailed(Exception):
    """The platform can't start; the message tells a person why, and what to do."""


class Conductor:
    """A supervised list of parts, in the order in which they stop, reversed."""

    def __init__(self, parts: Sequence[Part], supervisor: Supervisor, logs: Path, report: Report) -> None:
        """`logs` is where each part's output goes, under its program's name."""
        self._parts = parts
        self._supervisor = supervisor
        self._logs = logs
        self._report = report
        self._width = max(len(part.title) for part in parts)

    async def start(self, keep_open: int) -> None:
        """Starts the supervisor and all parts; returns when all are ready. `keep_open` is for the supervisor to hold.

        Raises:
            PlatformFailed: a part doesn't become ready; those that run are for the caller to stop.
        """
        ready = {part.program.name: asyncio.Event() for part in self._parts}
        try:
            async with asyncio.TaskGroup() as group:
                supervisor = group.create_task(self._supervisor.start(keep_open))
                for part in self._parts:
                    group.create_task(self._start_part(part, supervisor, ready))
        except BaseExceptionGroup as group_of_errors:
            raise _first_of(group_of_errors) from None

    async def watch(self) -> None:
        """Tells of each part that died and is started again. Returns only when the supervisor itself is gone."""
        with suppress(OSError):
            states = await self._supervisor.states()
            last_seen = {part.program.name: states[part.program.name].process_id for part in self._parts}
            recovering: dict[str, asyncio.Task[None]] = {}
            try:
                while True:
                    states = await self._supervisor.states()
                    for part in self._parts:
                        await self._look_after(part, states[part.program.name], last_seen, recovering)
                    await asyncio.sleep(_WATCH_SECONDS)
            finally:
                for task in recovering.values():
                    task.cancel()

    async def stop(self) -> None:
        """Stops all parts in the reverse order and the supervisor; returns when no process is left."""
        with suppress(OSError):
            states = await self._supervisor.states()
            for part in self._parts:
                if states[part.program.name].is_up:
                    await part.prepare_to_stop()
            for part in reversed(self._parts):
                if states[part.program.name].state != "STOPPED":
                    began = time.monotonic()
                    await self._supervisor.stop_program(part.program.name)
                    self._tell(part, "stopped", began)
        await self._supervisor.stop()

    async def _start_part(self, part: Part, supervisor: asyncio.Task[None], ready: Mapping[str, asyncio.Event]) -> None:
        name = part.program.name
        await _all_set(ready, part.needs)
        await part.prepare()
        await _all_set(ready, part.starts_after)
        await supervisor
        began = time.monotonic()
        await self._supervisor.start_program(name)
        try:
            async with asyncio.timeout(part.start_timeout_seconds):
                await self._until_serving(part)
                await part.complete()
        except TimeoutError:
            waited = f"doesn't serve after {part.start_timeout_seconds:.0f} s"
            raise PlatformFailed(f"{part.title} {waited}.\n{self._end_of_log(part)}") from None
        self._tell(part, "ready", began)
        ready[name].set()

    async def _until_serving(self, part: Part) -> None:
        process_id = 0
        while not await part.probe():
            state = (await self._supervisor.states())[part.program.name]
            process_id = process_id or state.process_id
            if not state.is_up or state.process_id != process_id:
                raise PlatformFailed(f"{part.title} ends as soon as it is started.\n{self._end_of_log(part)}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _look_after(
        self, part: Part, state: ProcessState, last_seen: dict[str, int], recovering: dict[str, asyncio.Task[None]]
    ) -> None:
        name = part.program.name
        if state.process_id != last_seen[name] and name not in recovering:
            how = await asyncio.to_thread(self._supervisor.last_exit, name)
            self._report(f"{part.title} died ({how}). It is started again; its log: {self._log(part)}")
            recovering[name] = asyncio.create_task(self._recover(part))
        if state.process_id:
            last_seen[name] = state.process_id
        if state.state == "FATAL":  # after its longest pause, the supervisor would leave it dead
            self._report(f"{part.title} dies each time it is started; its log: {self._log(part)}")
            await self._supervisor.start_program(name)
        if name in recovering and recovering[name].done():
            recovering.pop(name).result()

    async def _recover(self, part: Part) -> None:
        began = time.monotonic()
        while True:
            state = (await self._supervisor.states())[part.program.name]
            if state.is_up and await part.probe():
                break
            await asyncio.sleep(_POLL_SECONDS)
        self._tell(part, "ready again", began)

    def _tell(self, part: Part, what: str, began: float) -> None:
        self._report(f"  {part.title:<{self._width}}  {what:<11} {time.monotonic() - began:5.1f} s")

    def _log(self, part: Part) -> Path:
        return self._logs / f"{part.program.name}.log"

    def _end_of_log(self, part: Part) -> str:
        log = self._log(part)
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
        return "\n".join([f"The end of {log}:", *(f"  {line}" for line in lines)])


async def _all_set(events: Mapping[str, asyncio.Event], names: Sequence[str]) -> None:
    for name in names:
        await events[name].wait()


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group of tasks: the one that made the others be cancelled."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
