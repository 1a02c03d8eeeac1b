"""A program that is part of the platform: what to run, as whom, with which environment."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

LAUNCHER = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True)
class Program:
    """One process of the platform."""

    name: str
    command: tuple[str, ...]  # the first is an absolute path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # whole; nothing is inherited
    account: str = ""  # the operating system account to become; empty: stay who we are
    stop_signal: Literal["TERM", "INT"] = "TERM"
    stop_wait_seconds: int = 20  # then it is killed

    def write_launch_file(self, directory: Path) -> Path:
        """Writes into a private directory what the launcher needs to become the program; returns the file's path."""
        launch = {
            "command": self.command,
            "environment": dict(self.environment),
            "directory": str(Path.cwd()),  # settings may name files relative to where the platform was started
            "account": self.account,
            "death_signal": f"SIG{self.stop_signal}",
        }
        path = launch_file(directory, self.name)
        write_private(path, json.dumps(launch))
        return path


def launch_file(directory: Path, name: str) -> Path:
    """Where a program's command and environment are kept for its start."""
    return directory / f"{name}.launch.json"


def python_path() -> str:
    """PYTHONPATH with which the platform's packages are found from any directory."""
    root = str(Path(__file__).resolve().parents[2])
    inherited = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != root]
    return os.pathsep.join([root, *inherited])


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read; whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def open_log(path: Path) -> BinaryIO:
    """Opens a log to be written on; only its owner can read it."""
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


def private_directory(path: Path) -> Path:
    """Makes a directory that only its owner can enter, and returns it; one that exists is made private."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


@contextmanager
def running(program: Program, directory: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the program, unsupervised, as long as the context lasts; its output goes to `log`.

    To be entered from the main thread: the kernel takes the end of the thread that starts it for the parent's death.
    """
    with open_log(log) as output:
        command = [sys.executable, "-I", "-S", LAUNCHER, str(program.write_launch_file(directory))]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        stop(process, program)


def stop(process: subprocess.Popen[bytes], program: Program) -> None:
    """Ends the process in the program's own way; kills it when that takes too long."""
    if process.poll() is None:
        process.send_signal({"TERM": 15, "INT": 2}[program.stop_signal])
    try:
        process.wait(program.stop_wait_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
