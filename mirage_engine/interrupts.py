"""Ctrl-C and SIGTERM end work between two steps, not in the middle of one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from mirage_engine.errors import Cancelled
from mirage_engine.progress import Event, Listener

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(listener: Listener) -> Iterator[Listener]:
    """While this lasts, the signals make the listener that it gives raise Cancelled. Of the main thread only."""
    caught: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: caught.append(number)) for number in SIGNALS}

    def listen(event: Event) -> None:
        listener(event)
        if caught:
            raise Cancelled

    try:
        yield listen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
