"""MIRAGE_HOME: where the platform on one machine keeps everything, and the lock that lets only one use it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.program import private_directory, write_private
from deploy.local.sockets import make_private, remove_if_elsewhere, short_directory


class AlreadyRunning(Exception):
    """Another platform uses this MIRAGE_HOME."""


@dataclass(frozen=True)
class RunningPlatform:
    """What a running platform tells about itself to other commands."""

    process_id: int
    url: str


class Home:
    """The directories of one platform."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.data = self.path / "data"
        self.logs = self.path / "logs"
        self.secrets = self.path / "secrets"
        self.run = self.path / "run"  # launch files and configurations, made anew at each start
        self.sockets = short_directory(self.run)

    def make(self) -> None:
        """Makes the directories, private to us."""
        for directory in (self.path, self.data, self.logs, self.secrets, self.run):
            private_directory(directory)
        for log in self.logs.glob("*.log*"):  # those of a version that let others read them
            log.chmod(0o600)
        make_private(self.sockets)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Makes this MIRAGE_HOME ours as long as the context lasts; yields the lock's file descriptor.

        A child that inherits the descriptor keeps the lock, for as long as it lives.

        Raises:
            AlreadyRunning: another process has the lock.
        """
        # Nothing else is touched before the lock is ours: another platform may be using it.
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(self._who_runs()) from None
            self.make()
            self.announcement.unlink(missing_ok=True)  # of one that was killed
            try:
                yield descriptor
            finally:
                remove_if_elsewhere(self.sockets, self.run)
        finally:
            os.close(descriptor)

    @property
    def announcement(self) -> Path:
        """The file by which a running platform tells of itself."""
        return self.run / "platform.json"

    @property
    def metrics(self) -> Path:
        """The file that tells where the processes tell their metrics, for Prometheus."""
        return self.run / "metrics.json"

    def announce(self, platform: RunningPlatform) -> None:
        """Tells other commands about the platform that now runs here."""
        write_private(self.announcement, json.dumps(asdict(platform)))

    def running_platform(self) -> RunningPlatform | None:
        """The platform that runs here, as far as it has told; None where there is none."""
        try:
            return RunningPlatform(**json.loads(self.announcement.read_text()))
        except FileNotFoundError:
            return None

    def _who_runs(self) -> str:
        found = self.running_platform()
        at = f" at {found.url} (process {found.process_id})" if found else ", or is just starting or stopping"
        return (
            f"Mirage already runs on {self.path}{at}. Stop it first, "
            "or set MIRAGE_HOME to another directory, for example MIRAGE_HOME=.mirage-2."
        )
