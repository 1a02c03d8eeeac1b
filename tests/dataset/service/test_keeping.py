"""What is kept: quotas, objects without rows, rows without objects, files that versions have in common."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
import pytest_asyncio
from google.api.httpbody_pb2 import HttpBody
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.local.object_store import EmbeddedObjectStore
from mirage.dataset.v1 import dataset_pb2 as pb
from servicekit.sweeping import Named, Sweep, Sweeper
from servicekit.timestamps import utc_now
from services.dataset.models import Version, loose_objects
from services.dataset.storage import NAMED
from tests.dataset.service.platform import CSV, Platform, environment_of, open_platform
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

QUOTA_BYTES = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(
    postgres: PostgresForTests,
    object_store: EmbeddedObjectStore,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Platform]:
    """A service that grants everybody one mebibyte."""
    scratch = tmp_path_factory.mktemp("scratch")
    # A bucket of its own: other modules leave objects in theirs when they empty the tables.
    changes = {"storage_quota_mb": 1, "s3_bucket_prefix": "keeping"}
    async with open_platform(postgres, object_store, tokens, scratch, **changes) as opened:
        yield opened


def sweeper(platform: Platform, grace: timedelta = timedelta(0)) -> Sweeper:
    """What sweeps the platform's bucket."""
    return Sweeper(platform.database.sessions, platform.store, loose_objects, NAMED, grace)


async def swept(platform: Platform, grace: timedelta = timedelta(0)) -> Sweep:
    """What a sweep finds."""
    found = await sweeper(platform, grace).sweep()
    assert found is not None
    return found


async def test_a_full_quota(platform: Platform) -> None:
    """What is stored elsewhere counts too; a file too many is refused with both sizes, and nothing of it is left."""
    user = platform.user()
    platform.dependents.stored_bytes[user.user_id] = QUOTA_BYTES - len(CSV) + 1
    async with refused("STORAGE_QUOTA_EXCEEDED") as refusal:
        await user.upload()
    assert refusal.metadata["limit_bytes"] == str(QUOTA_BYTES)
    assert await platform.nothing_left(user)
    platform.dependents.stored_bytes[user.user_id] = QUOTA_BYTES // 2
    dataset = await user.upload()
    platform.dependents.stored_bytes[user.user_id] = QUOTA_BYTES
    retyped = [{"name": "age", "type": "text"}]
    for change in (user.add_version(dataset.dataset_id), user.update(dataset.dataset_id, retyped)):
        async with refused("STORAGE_QUOTA_EXCEEDED"):
            await change
    assert (await user.get(dataset.dataset_id)).latest_version == 1


async def test_a_length_that_nobody_declared(platform: Platform) -> None:
    """A file that is too large for what is left is refused as soon as it is, not when all of it has arrived."""
    user = platform.user()
    platform.dependents.stored_bytes[user.user_id] = QUOTA_BYTES // 2

    async def unfinished() -> AsyncIterator[pb.UploadDatasetRequest]:
        yield pb.UploadDatasetRequest(name="unfinished", body=HttpBody(content_type="text/csv", data=b"number\n"))
        for _ in range(QUOTA_BYTES // 2 // 65_536):
            yield pb.UploadDatasetRequest(body=HttpBody(data=b"1234567\n" * 8192))
        await asyncio.Event().wait()  # more is to come, and never does

    async with refused("STORAGE_QUOTA_EXCEEDED"):
        await user.start_upload(unfinished())
    assert await platform.nothing_left(user)


async def test_two_uploads_at_once(platform: Platform) -> None:
    """Of two files at once that fit only one by one, one is refused."""
    user = platform.user()
    large = b"number,text\n" + b"".join(b"%d,%s\n" % (number, b"x" * 90) for number in range(6_000))
    assert QUOTA_BYTES / 2 < len(large) < QUOTA_BYTES
    outcomes = await asyncio.gather(user.upload(large), user.upload(large), return_exceptions=True)
    assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert len((await user.list_datasets()).datasets) == 1


async def test_versions_with_one_file(platform: Platform) -> None:
    """A version whose types were set by hand has the file of the one before: counted once, deleted with the dataset."""
    user = platform.user()
    dataset = await user.upload()
    await user.update(dataset.dataset_id, [{"name": "age", "type": "text"}])
    assert len(await platform.objects(user)) == 3, "one file, two tables"
    await user.delete(dataset.dataset_id)
    assert await platform.nothing_left(user)


async def test_objects_without_rows(platform: Platform) -> None:
    """An object that nothing names goes when it is old enough; what a row names or is just arriving stays."""
    await swept(platform)  # what is in the bucket from elsewhere, whose rows are gone
    user = platform.user()
    await user.upload()
    named = await platform.objects(user)
    orphan, arriving = (f"{user.user_id}/{name}" for name in ("orphan", "arriving"))
    for key in (orphan, arriving):
        await platform.store.put_bytes(key, b"12345")
    async with platform.database.sessions.begin() as session:
        await loose_objects.loosen(session, [arriving], utc_now() + timedelta(hours=1))
    assert (await swept(platform, timedelta(hours=1))).orphans == 0, "it may still be given a row"
    looked = await sweeper(platform).sweep(remove=False)
    assert looked is not None
    assert (looked.orphans, looked.orphaned_bytes) == (1, 5)
    assert await platform.objects(user) == named | {orphan, arriving}
    found = await swept(platform)
    assert (found.orphans, found.orphaned_bytes, found.missing) == (1, 5, ())
    assert await platform.objects(user) == named | {arriving}


async def test_rows_without_objects(platform: Platform) -> None:
    """A row whose object is gone is told of, by the object's key, and left as it is."""
    user = platform.user()
    dataset = await user.upload()
    [table] = [key for key in await platform.objects(user) if key.endswith(".parquet")]
    await platform.store.remove([table])
    assert (await swept(platform)).missing == (table,)
    assert (await user.get(dataset.dataset_id)).row_count == dataset.row_count
    await user.delete(dataset.dataset_id)
    assert (await swept(platform)).missing == ()


async def test_the_command(platform: Platform) -> None:
    """`python -m services.dataset.sweep` prints a summary alone, and exits with 1 where an object is gone."""
    user = platform.user()
    dataset = await user.upload()
    command = (sys.executable, "-m", "services.dataset.sweep", "--dry-run")
    environment = {"PATH": os.environ["PATH"], **environment_of(platform.settings)}
    keys = await platform.objects(user)
    [table] = [key for key in keys if key.endswith(".parquet")]

    async def printed() -> tuple[int | None, list[str]]:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        return process.returncode, output.decode().splitlines()

    code, [first, orphans, missing] = await printed()
    assert first.startswith("dataset: ")
    assert orphans == "  without a row for 24 hours: 0 (0 bytes), would be removed"
    assert (code, missing) == (0, "  missing: 0")
    await platform.store.remove([table])
    code, [*_, missing, key] = await printed()
    assert (code, missing, key) == (1, "  missing: 1", f"    {table}")
    await user.delete(dataset.dataset_id)


async def test_one_sweep_at_a_time(platform: Platform) -> None:
    """While another copy of the service sweeps the bucket, this one leaves it alone."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Named):
        async def after(self, session: AsyncSession, last: str, limit: int) -> Sequence[str]:
            begun.set()
            await go_on.wait()
            return []

    slow = Sweeper(platform.database.sessions, platform.store, loose_objects, Slow(Version.source_key))
    other = asyncio.create_task(slow.sweep(remove=False))
    await begun.wait()
    assert await sweeper(platform).sweep() is None
    go_on.set()
    assert await other is not None
    assert await swept(platform)
