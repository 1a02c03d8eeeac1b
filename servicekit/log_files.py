"""A process's log as a file: rotated by size, its own alone, and never a reason to stop."""

import fcntl
import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from servicekit.settings import ServiceSettings

PLACE = "{process}"
_MOST_REPLICAS = 1000


class LogFile(RotatingFileHandler):
    """A file that nobody else writes on; where it can't be written, that is said once and the line is let go."""

    def __init__(self, path: Path, *, most_bytes: int, backups: int) -> None:
        self._broken = False
        super().__init__(path, maxBytes=most_bytes, backupCount=backups, encoding="utf-8", delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line, in a new file if this one is full."""
        self._failed = False
        super().emit(record)
        self._broken = self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - what is lost isn't repeated
        """Says that lines get lost: the disk may be full."""
        self._failed = True
        if not self._broken:
            error = sys.exc_info()[1]
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            print(f"{self.baseFilename} can't be written: {why}. Its lines are lost.", file=sys.stderr)  # noqa: T201

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding)


def log_file(process: str, settings: ServiceSettings) -> LogFile | None:
    """The file that a process's log goes to beside standard output; None where none is set.

    Each process has its own: its name is put in the place of `{process}`, or before the suffix, and replicas on one
    machine are numbered. Two of them in one file would rotate it away under each other.
    """
    if settings.log_file_path is None:
        return None
    for number in range(1, _MOST_REPLICAS):
        path = _path_of(settings.log_file_path, process if number == 1 else f"{process}-{number}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _taken_for_life(path.with_name(f".{path.name}.lock")):
            break
    most_bytes = settings.log_rotation_size_mb * 1024 * 1024
    return LogFile(path, most_bytes=most_bytes, backups=settings.log_backup_count)


def _path_of(wanted: Path, process: str) -> Path:
    if PLACE in str(wanted):
        return Path(str(wanted).replace(PLACE, process))
    return wanted.with_name(f"{wanted.stem}.{process}{wanted.suffix}")


def _taken_for_life(lock: Path) -> bool:
    """Takes a lock until this process ends; False if another process has it."""
    descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True
