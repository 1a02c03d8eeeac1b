"""Shows the parts' logs in the terminal as they are written."""

import asyncio
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS = 0.2
_LOGS = "*.log"
_NAME_WIDTH = 17  # of the longest name


class LogFile:
    """A log that grows, and that is renamed away and begun anew when it is too long."""

    def __init__(self, path: Path, *, from_begin: bool = False) -> None:
        """Begins at the present end, unless told otherwise."""
        self._path = path
        self._identity, size = self._look()
        self._position = 0 if from_begin else size
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


class LogDirectory:
    """Every log in a directory, those that are yet to come as well."""

    def __init__(self, directory: Path) -> None:
        """Begins at the present end of each log."""
        self._directory = directory
        self._files = {path: LogFile(path) for path in directory.glob(_LOGS)}

    def new_lines(self) -> list[str]:
        """The lines that were written since the last call, each behind its log's name."""
        lines = []
        for path in sorted(self._directory.glob(_LOGS)):
            file = self._files.setdefault(path, LogFile(path, from_begin=True))
            lines += [f"{path.stem:<{_NAME_WIDTH}} | {line}" for line in file.new_lines()]
        return lines


async def show(directory: Path, write: Callable[[str], None]) -> None:
    """Writes each new line of each log in a directory, until cancelled."""
    logs = LogDirectory(directory)
    try:
        while True:
            for line in await asyncio.to_thread(logs.new_lines):
                write(line)
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        for line in logs.new_lines():
            write(line)
