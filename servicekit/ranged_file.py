"""Bytes that lie elsewhere and are fetched by ranges, as a file."""

import io
from collections.abc import Callable
from typing import Any


class RangedFile(io.RawIOBase):
    """A read-only file of which each read fetches just its range. Reads block, so they belong into a thread.

    `fetch` gives so many bytes from a position on; what it raises, a read raises.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size = size
        self._fetch = fetch
        self._position = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be sought in."""
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Moves to a position; returns it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fills the buffer, but for the file's end; returns how many bytes that were."""
        view = memoryview(buffer)
        wanted = min(len(view), self._size - self._position)
        if wanted <= 0:
            return 0
        content = self._fetch(self._position, wanted)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)
