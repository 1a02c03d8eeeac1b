"""Waiting where the platform says that calls come too often."""

import anyio

from mirage.errors import LimitExceeded, MirageError

# What a call may be put off for in all. Limits for a minute fill evenly, so one that is empty lets the next in soon.
PATIENCE_S = 60.0


class Patience:
    """How long one call may still be put off."""

    def __init__(self) -> None:
        self._left_s = PATIENCE_S

    async def bear(self, error: MirageError) -> None:
        """Waits until the call may be made again.

        Only for calls that were refused before any service saw them, so that whatever they do is done once.

        Raises:
            MirageError: it is another error, or the wait would be too long.
        """
        wait_s = error.retry_after_s
        if wait_s is None or not _was_refused_unseen(error) or wait_s > self._left_s:
            raise error from None
        self._left_s -= wait_s
        await anyio.sleep(wait_s)


def _was_refused_unseen(error: MirageError) -> bool:
    """Whether it is the gateway's own limit; what services limit, such as wrong passwords, has no such time."""
    is_limit = isinstance(error, LimitExceeded) and error.reason == "RATE_LIMIT_EXCEEDED"
    return is_limit and "window_seconds" in error.metadata
