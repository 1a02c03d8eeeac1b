"""Private directories for work in progress; always removed, at the latest by the next process that has one."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_PREFIX = "mirage-work-"
_LOCK = "lock"


class Workspace:
    """A process's directory, of which every piece of work gets its own part.

    The process holds a lock in it. The kernel drops the lock when the process ends, however it ends, and a directory
    whose lock can be had is nobody's.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def remove_abandoned(self) -> None:
        """Removes what processes left behind that have died since."""
        _remove_abandoned(self._root.parent)

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """A directory that only this process's user can read, removed at the end of the block."""
        with tempfile.TemporaryDirectory(dir=self._root, ignore_cleanup_errors=True) as name:
            yield Path(name)


@contextmanager
def open_workspace(parent: Path | None = None) -> Iterator[Workspace]:
    """A workspace for as long as the block runs; removes those that dead processes left behind."""
    parent = parent or Path(tempfile.gettempdir())
    _remove_abandoned(parent)
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True) as name,
        (Path(name) / _LOCK).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Workspace(Path(name))


def _remove_abandoned(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
        # Another user's, or gone since: not ours to remove. One without a lock yet is just being made.
        with suppress(OSError), (directory / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
            log.info("workspace_removed", directory=directory.name)
