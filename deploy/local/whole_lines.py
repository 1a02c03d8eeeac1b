"""Rotation of the parts' logs between two lines, and not in the middle of one as supervisord's own does it.

A line that is cut in two is no JSON in either file. And where the disk is full, supervisord's own file would stay
closed after a rotation that failed; here lines are lost, which is said once, until there is room again.
"""

import sys
from pathlib import Path
from typing import Any

from supervisor import loggers


class WholeLineFile(loggers.RotatingFileHandler):  # type: ignore[misc] # supervisord has no types
    """A log that gets what a program writes, in pieces that end anywhere."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._broken = self._failed = False
        self.stream: Any
        self._open_again()

    def emit(self, record: Any) -> None:
        """Writes a piece; what follows its last line goes into a new file if this one is full."""
        if not isinstance(record.msg, bytes):  # supervisord's own, which are whole
            super().emit(record)
            return
        lines, end, begin = record.msg.rpartition(b"\n")
        self._failed = False
        try:
            self._write(lines + end)
            if end and self._is_full():
                self.doRollover()
            self._write(begin)
        except (OSError, ValueError):  # the latter of a file that could not be opened again
            self.handleError()
        self._broken = self._failed

    def handleError(self) -> None:
        """Says that lines get lost, once; the library would show where it happened, for each."""
        self._failed = True
        if not self._broken:
            print(f"{self.baseFilename} can't be written: {sys.exc_info()[1]}. Its lines are lost.", file=sys.stderr)  # noqa: T201

    def reopen(self) -> None:
        """Opens the file of this name anew."""
        super().reopen()
        self._open_again()

    def doRollover(self) -> None:
        """Begins a new file."""
        super().doRollover()
        self._open_again()

    def _is_full(self) -> bool:
        return bool(self.maxBytes > 0 and self.stream.tell() >= self.maxBytes)

    def _write(self, content: bytes) -> None:
        if self.stream.closed:
            self._open_again()
        while content:
            content = content[self.stream.write(content) :]

    def _open_again(self) -> None:
        """Without a buffer: what could not be written would stay there, and come with what is written later."""
        self.stream.close()
        self.stream = Path(self.baseFilename).open("ab", buffering=0)  # noqa: SIM115 - it stays open


def install() -> None:
    """Has supervisord write its programs' logs so; before it opens any."""
    loggers.RotatingFileHandler = WholeLineFile
