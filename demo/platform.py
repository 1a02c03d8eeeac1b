"""The platform that the demonstration runs on."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from deploy.local.home import Home, RunningPlatform
from deploy.local.platform import running_platform
from deploy.local.settings import LocalSettings


@contextmanager
def platform(settings: LocalSettings, console: Console) -> Iterator[str]:
    """Yields the platform's address: of the one that runs here already, or of one that runs as long as the block."""
    there = _running(Home(settings.mirage_home))
    if there is not None:
        console.print(f"It runs here already, at {there.url}, and goes on afterwards.")
        yield there.url
        return
    began = time.monotonic()
    with running_platform(settings, os.environ, lambda line: console.print(line, markup=False)) as (started, _):
        console.print(f"Serves at {started.url} after {time.monotonic() - began:.1f} s.")
        try:
            yield started.url
        finally:
            console.print("\nStopping the platform …")
    console.print("Stopped.")


def _running(home: Home) -> RunningPlatform | None:
    told = home.running_platform()
    if told is None:
        return None
    try:
        os.kill(told.process_id, 0)  # sends nothing; asks whether there is such a process
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # there is, but it isn't ours
    return told
