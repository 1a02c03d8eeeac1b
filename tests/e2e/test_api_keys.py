"""The story of a program: a key with few rights, tokens made from it, a stream by a ticket, and the end of it all."""

import time
from uuid import uuid4

import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.errors import NotSignedIn, PermissionDenied
from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

REVOKED_WITHIN_S = 30.0  # a deadline of the test; docs/security.md says how soon it is


def refused_by(client: Client) -> type[Exception] | None:
    """What listing datasets raises."""
    try:
        client.datasets.list()
    except (NotSignedIn, PermissionDenied) as error:
        return type(error)
    return None


def test_a_program_with_a_key(platform: PlatformForTests, client: Client, flights: pd.DataFrame) -> None:
    """A program uploads and reads by its key, is refused what the key isn't for, and everything once it is deleted."""
    key = client.account.create_api_key("import", ["datasets:read", "datasets:write"])
    with Client(platform.url, api_key=key.key) as program:
        dataset = program.datasets.upload(flights.head(50), name="flights")
        assert program.datasets.get(dataset.id).name == "flights"
        for denied in (program.account.me, program.jobs.list, program.configuration, program.account.api_keys):
            with pytest.raises(PermissionDenied) as caught:
                denied()
            assert caught.value.reason == "INSUFFICIENT_SCOPE"
        assert client.datasets.get(dataset.id).id == dataset.id
        (listed,) = client.account.api_keys()
        assert (listed.key, listed.last_use_address) == (None, "127.0.0.1")
        assert listed.last_use_time is not None
        form = {"grant_type": "urn:mirage:api-key", "api_key": key.key}
        token = httpx.post(f"{platform.url}/auth/token", data=form).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{platform.url}/datasets/{dataset.id}", headers=headers).status_code == 200
        client.account.delete_api_key(key.id)
        with pytest.raises(NotSignedIn):
            program.account.me()
        deadline = time.monotonic() + REVOKED_WITHIN_S
        while httpx.get(f"{platform.url}/datasets/{dataset.id}", headers=headers).status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert refused_by(program) is NotSignedIn
    assert client.datasets.get(dataset.id).id == dataset.id


def test_the_token_endpoint(platform: PlatformForTests) -> None:
    """A program that speaks OAuth gets tokens for a password, renews them, and is told what is wrong as OAuth says."""
    email = f"{uuid4().hex}@example.org"
    with Client(platform.url) as client:
        client.register(email, PASSWORD, "Ada")
    with httpx.Client(base_url=f"{platform.url}/api/v1", timeout=30) as http:
        form = {"grant_type": "password", "username": email, "password": PASSWORD, "scope": "account:read"}
        answer = http.post("/auth/token", data=form)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert answer.headers["content-type"] == "application/json"
        pair = answer.json()
        assert (pair["token_type"], pair["scope"]) == ("Bearer", "account:read")
        renewal = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
        renewed = http.post("/auth/token", data=renewal).json()
        headers = {"authorization": f"Bearer {renewed['access_token']}"}
        assert http.get("/auth/me", headers=headers).json()["data"]["email"] == email
        assert http.get("/datasets", headers=headers).json()["error"]["code"] == "INSUFFICIENT_SCOPE"
        for wrong, status, error in (
            (form | {"password": "wrong"}, 400, "invalid_grant"),
            (renewal, 400, "invalid_grant"),
            (form | {"scope": "everything"}, 400, "invalid_scope"),
            ({"grant_type": "implicit"}, 400, "unsupported_grant_type"),
            ({}, 400, "invalid_request"),
            (form | {"client_secret": "x"}, 401, "invalid_client"),
        ):
            refusal = http.post("/auth/token", data=wrong)
            assert (refusal.status_code, refusal.json()["error"]) == (status, error)
            assert refusal.headers["cache-control"] == "no-store"
        twice = "grant_type=password&grant_type=password"
        refusal = http.post("/auth/token", content=twice, headers={"content-type": "application/x-www-form-urlencoded"})
        assert refusal.json()["error"] == "invalid_request"


def test_a_stream_by_a_ticket(platform: PlatformForTests, client: Client, flights: pd.DataFrame) -> None:
    """A ticket opens its own stream, from any point, without a token; no other's, and nothing but a stream."""
    first, second = (client.datasets.upload(flights.head(20), name=name) for name in ("first", "second"))
    with httpx.Client(base_url=platform.url, timeout=60) as http:
        tokens = http.post("/auth/login", json={"email": client.email, "password": PASSWORD}).json()["data"]
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        stream = {"stream": f"/datasets/{first.id}/watch"}
        ticket = http.post("/auth/stream-ticket", json=stream, headers=headers).json()["data"]
        assert http.get(client.account.stream_ticket(stream["stream"]).url).status_code == 200
        events = http.get(ticket["url"])
        assert events.headers["content-type"] == "text/event-stream"
        assert events.text.count("data:") > 1
        assert http.get(f"{ticket['url']}&resume_token=nonsense").status_code == 400
        query = ticket["url"].partition("?")[2]
        others = (f"/datasets/{second.id}/watch", f"/datasets/{first.id}", "/auth/me", f"/generation/watch/{first.id}")
        for path in others:
            refusal = http.get(f"{path}?{query}")
            assert (refusal.status_code, refusal.json()["error"]["code"]) == (401, "UNAUTHENTICATED"), path
        stranger = f"{uuid4().hex}@example.org"
        with Client(platform.url) as another:
            another.register(stranger, PASSWORD, "Eve")
        tokens = http.post("/auth/login", json={"email": stranger, "password": PASSWORD}).json()["data"]
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        ticket = http.post("/auth/stream-ticket", json=stream, headers=headers).json()["data"]
        refusal = http.get(ticket["url"])
        assert (refusal.status_code, refusal.json()["error"]["code"]) == (404, "DATASET_NOT_FOUND")
