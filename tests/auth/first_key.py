"""What each of several processes does that start at once; a file of its own, since each has to import it."""

from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from servicekit.timestamps import utc_now
from services.auth import keys


def tell_first_key_id(directory: Path, start: Barrier, key_ids: "SimpleQueue[str]") -> None:
    """Waits for the others, loads or makes the keys, and tells the one that signs."""
    start.wait(60)
    key_ids.put(keys.load_or_create(directory).signing_key(utc_now()).key_id)
