"""A platform that is asked to stop while it is used, and started again."""

import json
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.records.generation import JobEvent
from tests.e2e.conftest import PASSWORD
from tests.e2e.faults.parts import until, web_client
from tests.e2e.faults.test_processes import TRAINING
from tests.support.platform import platform_for_tests

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


def test_watchers_go_on_where_they_were(tmp_path: Path, people: pd.DataFrame) -> None:
    """When all stops streams end cleanly with a token, requests are answered, jobs given back; later all goes on."""
    email = f"{uuid4().hex}@example.org"
    told: list[dict[str, Any]] = []
    ends: list[str] = []
    statuses: list[int] = []
    with platform_for_tests(tmp_path, WORKER_SLOTS="1", RATE_LIMITS="off") as platform:
        with Client(platform.url) as client:
            client.register(email, PASSWORD, "Ada")
            job = client.generate(client.datasets.upload(people), **TRAINING | {"epochs": 400}, wait=False)
            with web_client(platform, client) as web:
                headers = dict(web.headers)

        def watch() -> None:
            with httpx.stream(
                "GET", f"{platform.url}/generation/watch/{job.id}", headers=headers, timeout=60
            ) as stream:
                for line in stream.iter_lines():
                    if line.startswith("data:"):
                        told.append(json.loads(line.removeprefix("data:")))  # noqa: PERF401 - others look meanwhile
            ends.append("clean")

        def ask() -> None:
            with httpx.Client(base_url=platform.url, headers=headers, timeout=60) as asker:
                try:
                    while True:
                        statuses.append(asker.get(f"/generation/status/{job.id}").status_code)
                except httpx.TransportError:  # the gateway is gone, perhaps with a connection it hadn't taken yet
                    ends.append("closed")

        people_who_use_it = [threading.Thread(target=watch), threading.Thread(target=ask)]
        for each in people_who_use_it:
            each.start()
        until(lambda: told and told[-1]["epoch"] and statuses, "the training to be watched")
    for each in people_who_use_it:
        each.join(60)
    assert sorted(ends) == ["clean", "closed"], "the stream ended whole; requests were answered until none was taken"
    assert set(statuses) <= {200, 503}
    token = told[-1]["resume_token"]
    with platform_for_tests(tmp_path, WORKER_SLOTS="1", RATE_LIMITS="off") as platform, Client(platform.url) as client:
        client.login(email, PASSWORD)
        again = client.jobs.get(job.id)
        rest: list[JobEvent] = list(again.watch(resume_token=token, timeout_s=180))
        seen = [event["sequence"] for event in told if event["sequence"]] + [event.sequence for event in rest]
        assert seen == list(range(1, len(seen) + 1))
        assert rest[-1].state == "succeeded"
        assert again.refresh().attempts == 2
        messages = [event["message"] for event in told if event["message"]] + [each.message for each in rest]
        assert "The worker stops; another starts over" in messages
