"""Rotating the keys that sign tokens: published first, signing later, gone when nothing needs them."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from servicekit.key_files import KeyDirectory
from servicekit.timestamps import utc_now
from services.auth import keys
from tests.auth.test_tokens import write_key

SOON = timedelta(seconds=60)
HALF_AN_HOUR = timedelta(minutes=30)


def published(source: keys.SigningKeys) -> list[str]:
    """The ids in the key set."""
    return [key["kid"] for key in json.loads(source.key_set())["keys"]]


def key_named(directory: Path, ago: timedelta) -> Path:
    """A key that signs since a while ago."""
    path = directory / f"{utc_now() - ago:%Y%m%dT%H%M%SZ}.pem"
    write_key(directory, path.name)
    return path


def test_a_new_key_waits_for_its_moment(tmp_path: Path) -> None:
    """A new key is private, published at once and signs later; rotating again meanwhile changes nothing."""
    old = keys.load_or_create(tmp_path).signing_key(utc_now())
    key, is_new = keys.rotate(tmp_path, SOON, HALF_AN_HOUR)
    again, is_another = keys.rotate(tmp_path, SOON, HALF_AN_HOUR)
    assert (is_new, is_another, again.key_id) == (True, False, key.key_id)
    loaded = keys.load_or_create(tmp_path)
    assert published(loaded) == [old.key_id, key.key_id]
    assert key.signs_from - utc_now() + timedelta(seconds=5) >= SOON
    assert loaded.signing_key(utc_now()).key_id == old.key_id
    assert loaded.signing_key(key.signs_from).key_id == key.key_id
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.pem")} == {0o600}


def test_an_old_key_goes_when_its_tokens_have_expired(tmp_path: Path) -> None:
    """A key stays published for as long as a token that it signed may be good, then it and its file are gone."""
    gone = key_named(tmp_path, timedelta(days=3))
    needed = key_named(tmp_path, timedelta(days=2))
    current = key_named(tmp_path, timedelta(minutes=20))
    gone_id, needed_id, _ = [key.key_id for key in keys._load(KeyDirectory(tmp_path, "SIGNING_KEYS_DIR"))]
    loaded = keys.load_or_create(tmp_path, HALF_AN_HOUR)
    assert len(published(loaded)) == 2
    assert asyncio.run(loaded.key(gone_id)) is None
    assert asyncio.run(loaded.key(needed_id)) is not None
    keys.rotate(tmp_path, SOON, HALF_AN_HOUR)
    assert [path.exists() for path in (gone, needed, current)] == [False, True, True]


def test_a_killed_rotation_leaves_nothing_half(tmp_path: Path) -> None:
    """Half a key that a killed process left is no key, and the next rotation takes it away."""
    first = keys.load_or_create(tmp_path)
    draft = tmp_path / ".20260131T120000Z.pem.0badf00d"
    draft.write_text("-----BEGIN PRIVATE")
    assert published(keys.load_or_create(tmp_path)) == published(first)
    keys.rotate(tmp_path, SOON, HALF_AN_HOUR)
    assert not draft.exists()


def test_rotations_at_once_make_one_key(tmp_path: Path) -> None:
    """However many rotate at once, one new key comes of it."""
    keys.load_or_create(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: keys.rotate(tmp_path, SOON, HALF_AN_HOUR), range(4)))
    assert len({key.key_id for key, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


async def test_running_copies_take_up_changes(tmp_path: Path) -> None:
    """Copies that run follow the directory, and go on with what they have where something wrong is put into it."""
    copies = [keys.load_or_create(tmp_path, HALF_AN_HOUR) for _ in range(2)]
    tasks = [asyncio.create_task(keys.keep_current(tmp_path, copy, every_s=0.01)) for copy in copies]
    await asyncio.sleep(0)  # each has looked once
    wrong = tmp_path / "nonsense.pem"
    wrong.write_text("no key")
    await asyncio.sleep(0.05)  # time to stumble over it
    wrong.unlink()
    key, _ = await asyncio.to_thread(keys.rotate, tmp_path, SOON, HALF_AN_HOUR)
    async with asyncio.timeout(10):
        while not all(key.key_id in published(copy) for copy in copies):  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    assert published(copies[0]) == published(copies[1])
    assert len(published(copies[0])) == 2


def test_the_command(tmp_path: Path) -> None:
    """The command says what it did, and names a directory that can't be used."""
    command = [sys.executable, "-m", "services.auth.rotation"]
    environment = {**os.environ, "SIGNING_KEYS_DIR": str(tmp_path / "keys")}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert told.startswith("Made the key ")
    assert len(list((tmp_path / "keys").glob("*.pem"))) == 2
    (tmp_path / "file").touch()
    environment["SIGNING_KEYS_DIR"] = str(tmp_path / "file" / "keys")
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (refused.returncode, "SIGNING_KEYS_DIR" in refused.stderr) == (2, True)
