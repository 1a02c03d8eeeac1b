"""A disk that is full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pandas as pd
import psutil
import pytest

from mirage import Client
from tests.e2e.conftest import PASSWORD
from tests.e2e.faults.parts import Parts, fresh_key, until, web_client
from tests.support.platform import PlatformForTests, platform_for_tests

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

MEBIBYTE = 1024 * 1024
_OBJECTS_MB, _TEMPORARY_MB = 12, 3
# Of random digits, so that neither the file nor the table made of it is small.
CONTENT = b"number\n" + b"".join(b"%d\n" % (number * 2654435761 % 2**61) for number in range(1_500_000))


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[None]:
    """A disk of its own for a directory."""
    path.mkdir(parents=True, mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only who may mount can have a small disk; what a full one does is tested by a limit as well")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture(scope="module")
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """A platform whose object store and whose temporary files have small disks of their own."""
    home, temporary = tmp_path_factory.mktemp("cramped"), tmp_path_factory.mktemp("small") / "temporary"
    with small_disk(home / "data" / "objects", _OBJECTS_MB), small_disk(temporary, _TEMPORARY_MB):
        home.chmod(0o711)
        with platform_for_tests(home, TMPDIR=str(temporary), WORKER_SLOTS="1", RATE_LIMITS="off") as platform:
            yield Parts(platform, temporary)


@pytest.fixture
def cramped_client(cramped: Parts) -> Iterator[Client]:
    """Somebody who has just signed up there."""
    with Client(cramped.platform.url) as opened:
        opened.register(f"{uuid4().hex}@example.org", PASSWORD, "Ada")
        yield opened


def test_object_store_full(cramped: Parts, cramped_client: Client, people: pd.DataFrame) -> None:
    """An upload that finds no room is 507 with the reason, and leaves nothing; one that finds room is kept."""
    with web_client(cramped.platform, cramped_client) as web:
        answer = web.post("/datasets/upload?name=large", content=CONTENT, headers={"content-type": "text/csv"})
    assert answer.status_code == 507, answer.text
    assert answer.json()["error"]["code"] == "STORAGE_FULL"
    assert "full" in answer.json()["error"]["message"]
    _nothing_left(cramped, cramped_client)
    assert cramped_client.datasets.upload(people).row_count == len(people)


def test_temporary_disk_full(cramped: Parts, cramped_client: Client, people: pd.DataFrame) -> None:
    """A file that can't be read in for want of room says so, and leaves nothing."""
    with web_client(cramped.platform, cramped_client) as web:
        content = CONTENT[: 6 * MEBIBYTE]
        answer = web.post("/datasets/upload?name=middling", content=content, headers={"content-type": "text/csv"})
    assert answer.status_code == 507, answer.text
    assert answer.json()["error"]["code"] == "STORAGE_FULL"
    assert "temporary" in answer.json()["error"]["message"]
    _nothing_left(cramped, cramped_client)
    assert cramped_client.datasets.upload(people).row_count == len(people)


def test_object_store_may_write_no_more(
    parts: Parts, platform: PlatformForTests, client: Client, people: pd.DataFrame
) -> None:
    """A store that can't write is a clean 503, and nothing is left; it needs no privilege to be shown."""
    owner_id = client.datasets.upload(people).proto.owner_id
    before = parts.objects("dataset", owner_id)
    store, key = parts.process("object-store"), fresh_key()
    unlimited = store.rlimit(psutil.RLIMIT_FSIZE)
    headers = {"content-type": "text/csv"} | key
    with web_client(platform, client) as web:
        store.rlimit(psutil.RLIMIT_FSIZE, (MEBIBYTE, unlimited[1]))
        refused = web.post("/datasets/upload?name=large", content=CONTENT, headers=headers)
        assert refused.status_code == 503, refused.text
        assert refused.json()["error"]["code"] == "UNAVAILABLE"
        assert parts.objects("dataset", owner_id) == before
        parts.process("object-store").rlimit(psutil.RLIMIT_FSIZE, unlimited)
        until(parts.healthy, "the store to be well")
        assert web.post("/datasets/upload?name=large", content=CONTENT, headers=headers).status_code == 200


def _nothing_left(parts: Parts, client: Client) -> None:
    assert list(client.datasets.list()) == []
    until(lambda: not parts.work_in_progress(), "the temporary files to be gone")
    objects = parts.platform.platform.home.data / "objects" / "mirage-dataset"
    kept = {path for path in objects.rglob("*") if path.is_file()}
    assert not [path for path in kept if "rclone_temp" in path.name]
