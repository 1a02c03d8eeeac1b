"""Times of several runs, told the same way everywhere."""

import contextlib
import os
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from deploy.local.platform import LocalPlatform, running_platform
from deploy.local.settings import LocalSettings
from mirage import Client

_LOOK_S = 0.05  # between two looks at memory


class Stopwatch:
    """Measures a block: `with Stopwatch() as watch: …`, then `watch.seconds`."""

    seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.seconds = time.perf_counter() - self._began


def told(name: str, seconds: Sequence[float]) -> str:
    """A line with the median and the range of some runs."""
    return (
        f"{name:<44} median {statistics.median(seconds):8.2f} s   "
        f"(min {min(seconds):.2f}, max {max(seconds):.2f}, n={len(seconds)})"
    )


@contextlib.contextmanager
def platform_at(home: Path, **given: str) -> Iterator[LocalPlatform]:
    """A platform with its data in `home`, on a free port, as long as the block; `given` are settings of services."""
    settings = LocalSettings(mirage_home=home, mirage_port=0)
    environment = os.environ | {"RATE_LIMITS": "off"} | given
    with running_platform(settings, environment, lambda _line: None) as (platform, _portal):
        yield platform


@dataclass(frozen=True)
class Bench:
    """A platform to measure, and a user of it."""

    platform: LocalPlatform
    client: Client  # signed in
    access_token: str = field(repr=False)  # the user's, for what speaks HTTP or gRPC itself


@contextlib.contextmanager
def bench(**given: str) -> Iterator[Bench]:
    """A new platform and a new user of it, both gone after the block; `given` are settings of services."""
    with (
        tempfile.TemporaryDirectory() as home,
        platform_at(Path(home) / "home", **given) as platform,
        Client(platform.url) as client,
    ):
        email, password = f"bench-{secrets.token_hex(4)}@example.org", secrets.token_urlsafe(18)
        client.register(email, password, "Benchmark")
        client.login(email, password)
        answer = httpx.post(f"{platform.url}/auth/login", json={"email": email, "password": password})
        yield Bench(platform, client, answer.raise_for_status().json()["data"]["access_token"])


@contextlib.contextmanager
def signed_in() -> Iterator[Client]:
    """A new user of a new platform, both gone after the block."""
    with bench() as made:
        yield made.client


def process_of(module: str) -> psutil.Process:
    """The process of ours that runs a module.

    Raises:
        LookupError: there is none.
    """
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[-2:] == ["-m", module]:
                return process
    raise LookupError(module)


class PeakMemory:
    """Watches a process and its children during a block; `bytes` is the most resident memory they had together.

    A page that several processes share counts in parts (PSS of /proc/PID/smaps_rollup), so that it counts once in all.
    """

    bytes = 0

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            resident = 0
            with contextlib.suppress(psutil.Error):
                for process in (self._process, *self._process.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                        resident += process.memory_full_info().pss
            self.bytes = max(self.bytes, resident)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()
