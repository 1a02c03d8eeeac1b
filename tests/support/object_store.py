"""An S3 endpoint for a test session."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.object_store import EmbeddedObjectStore
from deploy.local.ports import free_port
from deploy.local.probes import until
from deploy.local.program import running


@contextmanager
def running_object_store(directory: Path) -> Iterator[EmbeddedObjectStore]:
    """An endpoint over `directory`, as long as the context lasts."""
    store = EmbeddedObjectStore(directory / "objects", free_port(), "tests", secrets.token_urlsafe(16))
    store.prepare()
    with running(store.program, directory, directory / "object-store.log"):
        asyncio.run(until(store.answers, timeout_seconds=60))
        yield store
