"""A user is told of what happened, live and later: over REST and by the library."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pandas as pd
import pytest

from mirage import Client
from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")


@pytest.fixture
def http(platform: PlatformForTests, client: Client, email: str) -> Iterator[httpx.Client]:
    """The same person, over REST."""
    grant = httpx.post(f"{platform.url}/auth/login", json={"email": email, "password": PASSWORD}).json()["data"]
    headers = {"authorization": f"Bearer {grant['access_token']}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=60) as opened:
        yield opened


def _events(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    return (json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:"))


def test_a_job_is_told_of(client: Client, http: httpx.Client, flights: pd.DataFrame) -> None:
    """The end of a job comes on a live stream; it is listed, marked as read, deleted, and can be switched off."""
    dataset = client.datasets.upload(flights, name="flights")
    with http.stream("GET", "/api/notifications/watch") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = _events(stream)
        assert "notification" not in next(events)
        job = client.generate(dataset, "gaussian_copula", rows=20, progress=False)
        live = next(told for each in events if (told := each.get("notification")) and told["object_id"] == job.id)
    assert live["kind"] == "job_ended"
    assert f"“{job.name}” made 20 rows" in live["body"]

    listed = http.get("/notifications?unread_only=true").json()["data"]
    assert live["notification_id"] in [each["notification_id"] for each in listed["notifications"]]
    read = http.post("/notifications/read", json={"notification_ids": [live["notification_id"]]}).json()["data"]
    assert (read["read_count"], read["unread_count"]) == (1, listed["unread_count"] - 1)
    assert http.delete(f"/notifications/{live['notification_id']}").status_code == 200
    assert http.get("/notifications/preferences").json()["data"]["vapid_public_key"]

    client.notifications.set_preference("job_ended", enabled=False)
    with http.stream("GET", "/notifications/watch") as stream:
        events = _events(stream)
        next(events)
        client.generate(dataset, "gaussian_copula", rows=21, progress=False)
        client.account.create_api_key("nightly", ["account:read"])
        live = next(told for each in events if (told := each.get("notification")))
    assert live["kind"] == "account_changed"
    [told] = [each for each in client.notifications.list() if each.kind == "account_changed"]
    assert "“nightly” was made" in told.body
    assert client.notifications.mark_read(told.id) == 1
    client.notifications.delete(told.id)
