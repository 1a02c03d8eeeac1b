"""The command that sweeps one service's bucket and tells what it found."""

import argparse
import asyncio
import sys

from pydantic_settings import SettingsConfigDict
from sqlalchemy.exc import DBAPIError

from servicekit.database import Database
from servicekit.errors import Unavailable
from servicekit.loose_objects import LooseObjects, MarkT
from servicekit.object_store import ObjectStore
from servicekit.settings import ObjectStoreSettings, ServiceSettings, load
from servicekit.sweeping import GRACE, Named, Sweep, Sweeper


class SweepSettings(ServiceSettings, ObjectStoreSettings):
    """What the command reads."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)


def run(service: str, loose: LooseObjects[MarkT], named: Named) -> None:
    """The command line; exits with 1 where a row's object is missing, or something can't be reached."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}.sweep")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be removed, and remove nothing")
    remove = not parser.parse_args().dry_run
    settings = load(SweepSettings)
    try:
        found = asyncio.run(_sweep(settings, service, loose, named, remove=remove))
    except (OSError, DBAPIError, Unavailable) as error:
        message = f"{service}: its database or its objects can't be reached ({type(error).__name__}). Is it running?"
        print(message, file=sys.stderr)  # noqa: T201 - what a command is for
        raise SystemExit(1) from None
    for line in _told(service, found, removed=remove):
        print(line)  # noqa: T201 - what a command is for
    if found is not None and found.missing:
        raise SystemExit(1)


async def _sweep(
    settings: SweepSettings, service: str, loose: LooseObjects[MarkT], named: Named, *, remove: bool
) -> Sweep | None:
    database = Database.from_settings(settings)
    try:
        store = ObjectStore(settings, service)
        return await Sweeper(database.sessions, store, loose, named).sweep(remove=remove)
    finally:
        await database.close()


def _told(service: str, found: Sweep | None, *, removed: bool) -> list[str]:
    if found is None:
        return [f"{service}: another process is sweeping just now"]
    verb = "removed" if removed else "would be removed"
    hours = GRACE.total_seconds() / 3600
    return [
        f"{service}: {found.objects:,} objects",
        f"  without a row for {hours:.0f} hours: {found.orphans:,} ({found.orphaned_bytes:,} bytes), {verb}",
        f"  missing: {len(found.missing):,}",
        *(f"    {key}" for key in found.missing),
    ]
