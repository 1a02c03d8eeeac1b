"""A little patience, for commands that wait anyway."""

import time
from collections.abc import Callable
from typing import TypeVar

from mirage.errors import ConnectionFailed, Unavailable

T = TypeVar("T")

_PATIENCE_S = 15.0
_PAUSE_S = 0.5


def when_ready(ask: Callable[[], T]) -> T:
    """What a platform answers once a part of it that was just being restarted is back.

    Raises:
        MirageError: what it answers instead, or that the part isn't back after 15 seconds.
    """
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask()
        except ConnectionFailed:
            raise
        except Unavailable:
            if time.monotonic() >= give_up_at:
                raise
        time.sleep(_PAUSE_S)
