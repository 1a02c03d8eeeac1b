"""What administrators, probes and Prometheus are told while parts of the platform are away."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.faults.parts import Parts, until
from tests.support.platform import PlatformForTests

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


@pytest.fixture
def web(platform: PlatformForTests, parts: Parts) -> Iterator[httpx.Client]:
    """An administrator's."""
    email = f"{uuid4().hex}@example.org"
    password = platform.make_administrator(email)
    with httpx.Client(base_url=platform.url, timeout=30) as client:
        answer = client.post("/auth/login", json={"email": email, "password": password}).raise_for_status()
        client.headers["authorization"] = f"Bearer {answer.json()['data']['access_token']}"
        yield client


def _services(web: httpx.Client) -> tuple[int, dict[str, dict[str, Any]]]:
    """The status, and each service by its name."""
    answer = web.get("/health/detailed")
    return answer.status_code, {each["name"]: each for each in answer.json()["data"]["services"]}


def test_service_away(parts: Parts, web: httpx.Client) -> None:
    """A service that is stopped is told as down under 503, the others as up; when it is back, all is well again."""
    parts.stop("optimizer")
    status, services = _services(web)
    assert status == 503
    assert services["optimizer"]["state"] == "HEALTH_STATE_DOWN"
    assert {each["state"] for name, each in services.items() if name != "optimizer"} == {"HEALTH_STATE_UP"}
    assert web.get("/health/detailed").json()["error"]["code"] == "PLATFORM_DOWN"
    until(lambda: web.get("/health").status_code == 503, "the gateway to notice")
    parts.start("optimizer")
    until(lambda: _services(web)[0] == 200, "the platform to be well again")
    assert _services(web)[1]["optimizer"]["since_time"] > services["optimizer"]["since_time"]


def test_worker_away(parts: Parts, web: httpx.Client) -> None:
    """Without a worker the platform serves, and says that it is degraded."""
    parts.stop("generation-worker")
    until(lambda: _services(web)[1]["generation"]["state"] == "HEALTH_STATE_DEGRADED", "the worker to be missed")
    status, services = _services(web)
    assert status == 200
    assert "No worker is connected" in services["generation"]["message"]
    assert web.get("/health").status_code == 200
    parts.start("generation-worker")
    until(lambda: _services(web)[1]["generation"]["state"] == "HEALTH_STATE_UP", "the worker to be back")


def test_database_away(parts: Parts, platform: PlatformForTests, web: httpx.Client) -> None:
    """While the database is away each process says so when it is scraped, and nothing that it would have to ask it."""
    addresses = {
        group["labels"]["part"]: group["targets"][0]
        for group in json.loads(platform.platform.home.metrics.read_text())
        if group["labels"]["part"] != "gateway"
    }

    def told(part: str) -> str:
        return httpx.get(f"http://{addresses[part]}/metrics", timeout=5).raise_for_status().text

    before = told("generation")
    assert re.search(r"^mirage_queue_length\{", before, re.MULTILINE)
    parts.stop("postgres")
    for part in addresses:
        until(lambda part=part: "\nmirage_database_up 0.0" in told(part), f"{part} to notice")  # type: ignore[misc]
    figures = re.compile(r"^mirage_(queue_length|jobs|workers)", re.MULTILINE)
    until(lambda: not figures.search(told("generation")), "what was read before to be told no longer")
    assert "\nprocess_resident_memory_bytes" in told("generation")
    parts.start("postgres")
    until(lambda: "\nmirage_database_up 1.0" in told("generation"), "the database to be back")
    until(lambda: re.search(r"^mirage_queue_length\{", told("generation"), re.MULTILINE), "its figures to be back")
