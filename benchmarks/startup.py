"""How long it takes until the platform serves."""

import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Stopwatch, platform_at, told

RUNS = 3


def run() -> Iterator[str]:
    """From the start of everything to the first 200 of /health, on an installed clone."""
    first, later = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as directory:
            home = Path(directory) / "home"
            first.append(_start(home))
            later.append(_start(home))
    yield told("first start (database and keys are made)", first)
    yield told("later start (data are there)", later)


def _start(home: Path) -> float:
    watch = Stopwatch()
    with watch:
        running = platform_at(home)
        platform = running.__enter__()
        with urllib.request.urlopen(f"{platform.url}/health") as answer:  # noqa: S310 - our own address
            assert answer.status == 200
    running.__exit__(None, None, None)
    return watch.seconds
