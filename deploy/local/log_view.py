"""Shows the parts' logs in the terminal as they are written."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

_POLL_SECONDS = 0.2


class LogFile:
    """A log that grows, and that is renamed away and begun anew when it is too long."""

    def __init__(self, path: Path) -> None:
        """Begins at the present end."""
        self._path = path
        self._identity, self._position = self._look()
        self._incomplete = b""

    def new_lines(self) -> list[str]:
        """The complete lines that were written since the last call; the last few before a renaming may be missing."""
        identity, size = self._look()
        if identity != self._identity or size < self._position:
            self._identity, self._position, self._incomplete = identity, 0, b""
        if size == self._position:
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            written = file.read(size - self._position)
        self._position = size
        *lines, self._incomplete = (self._incomplete + written).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _look(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_ino, status.st_size


async def show(logs: Mapping[str, Path], write: Callable[[str], None]) -> None:
    """Writes each new line of each log behind its name, until cancelled."""
    files = {name: LogFile(path) for name, path in logs.items()}
    width = max(map(len, files), default=0)
    while True:
        for name, file in files.items():
            for line in file.new_lines():
                write(f"{name:<{width}} | {line}")
        await asyncio.sleep(_POLL_SECONDS)
