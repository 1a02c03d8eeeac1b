"""Decides what to try next, in a process of its own.

Fitting a surrogate takes half a second and more of pure computation, much of it with Python's interpreter lock held: in
this process every request would wait for it. A search decides from its record alone, so the other process keeps
nothing: it is handed the record each time, and one that dies is replaced without anything being lost.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from services.optimizer.search import Fault, Trial
from services.optimizer.strategy import LENGTH, Asked, Problem

log = structlog.get_logger(__name__)

_MODULE = "services.optimizer.strategy"
_TRIES = 3
# No answer takes a tenth of it; everybody's studies would wait for ever for a process that hangs.
_LONGEST_S = 300.0
_NICE = 5  # answering comes first


class StrategyError(Exception):
    """The other process could not answer; the message says why."""


class Strategist:
    """Asks searches, in another process that is started when it is first needed."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def check(self, problem: Problem) -> tuple[Fault, ...]:
        """Everything that keeps the problem from being searched so; none if it can be.

        Raises:
            StrategyError: there is no answer.
        """
        faults: tuple[Fault, ...] = await self._elsewhere("check", problem)
        return faults

    async def ask(self, problem: Problem, trials: Sequence[Trial], count: int) -> Asked:
        """At most `count` new trials, given all that were asked so far with what became of them.

        Raises:
            StrategyError: there is no answer.
        """
        asked: Asked = await self._elsewhere("ask", problem, tuple(trials), count)
        return asked

    async def goes_on(
        self, problem: Problem, trials: Sequence[Trial], number: int, epochs: int, scores: Mapping[str, float]
    ) -> bool:
        """Whether a trial may go on, given its scores after so many epochs.

        Raises:
            StrategyError: there is no answer.
        """
        return bool(await self._elsewhere("goes_on", problem, tuple(trials), number, epochs, dict(scores)))

    async def importances(self, problem: Problem, trials: Sequence[Trial]) -> dict[str, float]:
        """The importance of each searched parameter, together 1; empty where it can't be told yet.

        Raises:
            StrategyError: there is no answer.
        """
        found: dict[str, float] = await self._elsewhere("importances", problem, tuple(trials))
        return found

    async def close(self) -> None:
        """Ends the other process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _elsewhere(self, name: str, *arguments: object) -> Any:
        question = pickle.dumps((name, arguments))
        # Shielded: an answer that nobody waits for any more must still be read, or it would be the next one's.
        good, found = await asyncio.shield(asyncio.create_task(self._answer(question)))
        if not good:
            raise StrategyError(found)
        return found

    async def _answer(self, question: bytes) -> tuple[bool, Any]:
        async with self._lock:
            for attempt in range(_TRIES):
                try:
                    async with asyncio.timeout(_LONGEST_S):
                        return await self._exchange(question)
                except (OSError, asyncio.IncompleteReadError):
                    log.warning("strategist_lost", attempt=attempt + 1)
                    await self.close()
        return False, "the process that works out what to try next dies of it"

    async def _exchange(self, question: bytes) -> tuple[bool, Any]:
        process = self._process = self._process or await self._start()
        if process.stdin is None or process.stdout is None:
            raise OSError("the process has no pipes")
        process.stdin.write(LENGTH.pack(len(question)) + question)
        await process.stdin.drain()
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        good, found = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - from our own child
        return bool(good), found

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # it ends with its input, not by signals that are meant for the service
        )
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        return process
