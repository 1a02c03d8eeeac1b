"""Processes that are killed while somebody uses them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.records.generation import JobEvent
from tests.e2e.faults.parts import Parts, answer_to, assert_unavailable, fresh_key, until, web_client
from tests.support.platform import PlatformForTests

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

TRAINING: dict[str, Any] = {"model": "tvae", "rows": 40, "seed": 3, "epochs": 60, "batch_size": 10, "embedding_dim": 8}
_CALLERS = 6


def test_worker_killed_in_mid_training(parts: Parts, client: Client, people: pd.DataFrame) -> None:
    """The job runs again by itself, tells of it, and comes to what it would have come to; nothing is there twice."""
    dataset = client.datasets.upload(people)
    undisturbed = client.generate(dataset, **TRAINING)
    job = client.generate(dataset, **TRAINING, wait=False)
    events: list[JobEvent] = []
    killed = False
    for event in job.watch(timeout_s=120):
        events.append(event)
        if event.epoch and not killed:
            parts.kill("generation-worker")
            killed = True
    job.refresh()
    assert (job.state, job.attempts) == ("succeeded", 2)
    assert job.table_sha256 == undisturbed.table_sha256
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert list(job.watch()) == events
    states = [event.state for event in events if event.kind == "state"]
    assert states == [
        *("queued", "preparing", "training"),
        *("queued", "preparing", "training", "sampling", "evaluating", "succeeded"),
    ]
    said = [event.message for event in events if event.message]
    assert said == ["The worker was lost; another starts over", "Attempt 2"]
    assert [model.job_id for model in client.models.list()].count(job.id) == 1
    made = {name for name in parts.objects("generation", dataset.proto.owner_id) if name.startswith(job.id)}
    assert made == {f"{job.id}/2/synthetic.parquet", f"{job.id}/2/model.zip"}
    until(lambda: not parts.work_in_progress(), "the dead worker's files to be gone")


@pytest.mark.parametrize(
    ("part", "path"),
    [("auth", "/auth/me"), ("dataset", "/datasets/{dataset_id}/data"), ("generation", "/generation/requests")],
)
def test_service_killed_in_mid_request(
    parts: Parts, platform: PlatformForTests, client: Client, people: pd.DataFrame, part: str, path: str
) -> None:
    """Whoever is being answered, or asks meanwhile, gets the answer or a clean 503; soon all is as before."""
    dataset = client.datasets.upload(people)
    with web_client(platform, client) as web, asking(web, path.format(dataset_id=dataset.id)) as answers:
        until(lambda: len(answers) > 2 * _CALLERS, "the first answers")
        parts.kill(part)
        until(lambda: any(answer.status_code == 503 for answer in list(answers)), "somebody to notice")
        until(lambda: all(answer.status_code == 200 for answer in answers[-2 * _CALLERS :]), "answers afterwards")
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert_unavailable(answer)
            assert int(answer.headers["retry-after"]) > 0
    until(parts.healthy, "health to tell that all is well")
    assert client.datasets.get(dataset.id).row_count == len(people)


def test_library_while_a_service_is_killed(parts: Parts, client: Client, people: pd.DataFrame) -> None:
    """The client library tries reads again by itself; what it can't wait for is an error of its own kind."""
    dataset = client.datasets.upload(people)
    parts.kill("dataset")
    assert answer_to(lambda: client.datasets.get(dataset.id)).id == dataset.id


def test_service_killed_in_mid_upload(
    parts: Parts, platform: PlatformForTests, client: Client, people: pd.DataFrame
) -> None:
    """The uploader gets a clean 503 and nothing is left; the same upload under the same key makes one dataset."""
    owner_id = client.datasets.upload(people).proto.owner_id
    before = parts.objects("dataset", owner_id)
    content = b"number,text\n" + b"".join(b"%d,text %d\n" % (number, number % 100) for number in range(600_000))
    half = len(content) // 2

    def cut_in_the_middle() -> Iterator[bytes]:
        yield content[:half]
        parts.kill("dataset")
        yield content[half:]

    headers = {"content-type": "text/csv"} | fresh_key()
    with web_client(platform, client) as web:
        assert_unavailable(web.post("/datasets/upload?name=cut", content=cut_in_the_middle(), headers=headers))
        until(parts.healthy, "the service to be back")
        assert "cut" not in [dataset.name for dataset in answer_to(client.datasets.list)]
        again = [web.post("/datasets/upload?name=cut", content=content, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in again] == [200, 200], again[0].text
    assert again[0].json()["data"]["dataset_id"] == again[1].json()["data"]["dataset_id"]
    assert again[0].json()["data"]["row_count"] == 600_000
    assert len(parts.objects("dataset", owner_id) - before) == 2  # the file and its table
    until(lambda: not parts.work_in_progress(), "the dead service's files to be gone")


@contextmanager
def asking(web: httpx.Client, path: str) -> Iterator[list[httpx.Response]]:
    """Several callers who ask the same again and again; what they were answered."""
    answers: list[httpx.Response] = []
    errors: list[Exception] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                answers.append(web.get(path))
            except httpx.HTTPError as error:
                errors.append(error)

    callers = [threading.Thread(target=ask) for _ in range(_CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield answers
    finally:
        over.set()
        for caller in callers:
            caller.join()
    assert not errors, "every request is answered"
