"""PostgreSQL or the object store away for a while."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.records.generation import JobEvent
from tests.e2e.faults.parts import Parts, assert_unavailable, fresh_key, until, web_client
from tests.e2e.faults.test_processes import TRAINING
from tests.support.platform import PlatformForTests

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

_AWAY_S = 10
CSV = {"content-type": "text/csv"}


@contextmanager
def away(parts: Parts, name: str) -> Iterator[float]:
    """A part that is away while the block runs; yields the time until which it has to be."""
    parts.stop(name)
    yield time.monotonic() + _AWAY_S
    parts.start(name)


def test_database_away(parts: Parts, platform: PlatformForTests, client: Client, people: pd.DataFrame) -> None:
    """For ten seconds all that needs it is 503 and health says so; a training and its watcher go through unharmed."""
    content = people.to_csv(index=False).encode()
    dataset = client.datasets.upload(people)
    job = client.generate(dataset, **TRAINING | {"epochs": 300}, wait=False)
    watched: list[JobEvent] = []
    watcher = threading.Thread(target=lambda: watched.extend(job.watch(timeout_s=180)))
    watcher.start()
    until(lambda: job.refresh().epoch, "the training to begin")
    key = fresh_key()
    before = parts.objects("dataset", dataset.proto.owner_id)
    with web_client(platform, client) as web:
        with away(parts, "postgres") as until_then:
            until(lambda: not parts.healthy(), "health to tell")
            while time.monotonic() < until_then:
                for path in ("/auth/me", "/datasets", f"/datasets/{dataset.id}/stats", "/generation/requests"):
                    assert_unavailable(web.get(path))
                assert_unavailable(web.post("/datasets/upload?name=later", content=content, headers=CSV | key))
                assert not parts.healthy()
        until(parts.healthy, "health to tell that all is well")
        uploaded = web.post("/datasets/upload?name=later", content=content, headers=CSV | key)
        assert uploaded.status_code == 200, uploaded.text
    watcher.join()
    assert [event.sequence for event in watched] == list(range(1, len(watched) + 1))
    assert watched[-1].state == "succeeded"
    assert job.refresh().attempts == 1
    assert [each.name for each in client.datasets.list()].count("later") == 1
    assert len(parts.objects("dataset", dataset.proto.owner_id) - before) == 2


def test_object_store_away(parts: Parts, platform: PlatformForTests, client: Client, people: pd.DataFrame) -> None:
    """For ten seconds what needs objects is 503 and leaves nothing half-written; what doesn't is answered."""
    content = people.to_csv(index=False).encode()
    dataset = client.datasets.upload(people)
    done = client.generate(dataset, **TRAINING)
    key = fresh_key()
    before = parts.objects("dataset", dataset.proto.owner_id)
    with web_client(platform, client) as web:
        with away(parts, "object-store") as until_then:
            until(lambda: not parts.healthy(), "health to tell")
            job = client.generate(dataset, **TRAINING, wait=False)
            while time.monotonic() < until_then:
                assert_unavailable(web.post("/datasets/upload?name=later", content=content, headers=CSV | key))
                assert_unavailable(web.get(f"/generation/download/{done.id}"))
                assert web.get("/datasets").status_code == 200
                assert not parts.healthy()
        until(parts.healthy, "health to tell that all is well")
        uploaded = web.post("/datasets/upload?name=later", content=content, headers=CSV | key)
        assert uploaded.status_code == 200, uploaded.text
        assert web.get(f"/generation/download/{done.id}").status_code == 200
    job.wait(timeout_s=120)
    assert (job.state, job.attempts) == ("succeeded", 1)
    assert [each.name for each in client.datasets.list()].count("later") == 1
    assert len(parts.objects("dataset", dataset.proto.owner_id) - before) == 2


def test_hanging_database(parts: Parts, platform: PlatformForTests, client: Client) -> None:
    """A database that takes connections and answers nothing is told by health as well; it heals when it goes on."""
    process = parts.process("postgres")
    family = [process, *process.children(recursive=True)]
    for each in family:
        each.suspend()
    try:
        until(lambda: not parts.healthy(), "health to tell")
    finally:
        for each in family:
            each.resume()
    until(parts.healthy, "health to tell that all is well")
    with web_client(platform, client) as web:
        until(lambda: web.get("/datasets").status_code == httpx.codes.OK, "answers")
