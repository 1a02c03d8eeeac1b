"""One event loop in a thread of its own, for every plain client of the process.

Calls work from any thread, also from one that runs an event loop already, as in a notebook.
"""

import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

T = TypeVar("T")

_END = object()


class LoopThread:
    """Runs coroutines for threads that wait for them; starts at the first call."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._portal: BlockingPortal | None = None

    def call(self, coroutine: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Returns what the coroutine returns; interrupting the wait (Ctrl-C) cancels it and waits for its end."""
        portal = self._running()
        ended = threading.Event()
        scopes: list[anyio.CancelScope] = []
        results: list[T] = []

        async def run() -> None:
            try:
                with anyio.CancelScope() as scope:
                    scopes.append(scope)
                    results.append(await coroutine())
            finally:
                ended.set()

        async def cancel() -> None:
            for scope in scopes:
                scope.cancel()
            if not scopes:  # it was not even begun
                ended.set()

        # Ctrl-C can come at any moment, also between the start and the wait; what was begun must not run on.
        try:
            portal.start_task_soon(run).result()
        except BaseException:
            if not ended.is_set():
                portal.start_task_soon(cancel)
                ended.wait()
            raise
        return results[0]

    def iterate(self, items: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Yields what the asynchronous iterator yields, and closes it when the caller stops."""
        iterator: AsyncIterator[T] = items()
        try:
            while (item := self.call(partial(_next, iterator))) is not _END:
                yield item
        finally:
            close = getattr(iterator, "aclose", None)
            # While the program ends the thread stands still already, and nobody would answer.
            if close is not None and not sys.is_finalizing():
                self.call(close)

    def forget(self) -> None:
        """Starts anew at the next call; for the child of a fork, in which the thread doesn't exist."""
        self._starting = threading.Lock()
        self._portal = None

    def _running(self) -> BlockingPortal:
        with self._starting:
            if self._portal is None:
                started: Future[BlockingPortal] = Future()
                # A thread that doesn't keep the program alive: nobody is obliged to close a client.
                threading.Thread(target=anyio.run, args=(_serve, started), name="mirage-client", daemon=True).start()
                self._portal = started.result()
            return self._portal


async def _serve(started: "Future[BlockingPortal]") -> None:
    async with BlockingPortal() as portal:
        started.set_result(portal)
        await portal.sleep_until_stopped()


async def _next(iterator: AsyncIterator[T]) -> Any:
    return await anext(iterator, _END)


LOOP = LoopThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LOOP.forget)
