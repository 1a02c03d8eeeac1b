"""A story told with HTTP requests, as `curl` would send them, on the whole platform."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")


@pytest.fixture
def http(platform: PlatformForTests) -> Iterator[httpx.Client]:
    """A web client that nobody is signed in with."""
    with httpx.Client(base_url=platform.url, timeout=120) as opened:
        yield opened


@pytest.fixture
def signed_in(http: httpx.Client, email: str) -> httpx.Client:
    """The same, signed in."""
    registered = data(http.post("/auth/register", json={"email": email, "password": PASSWORD, "display_name": "Ada"}))
    assert (registered["email"], registered["role"]) == (email, "user")
    tokens = data(http.post("/auth/login", json={"email": email, "password": PASSWORD}))
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 1800
    http.headers["authorization"] = f"Bearer {tokens['access_token']}"
    return http


def data(response: httpx.Response) -> Any:
    """Returns what is in the envelope of a success."""
    assert response.status_code == 200, response.text
    envelope = response.json()
    assert envelope["success"] is True
    assert envelope["message"]
    assert envelope["timestamp"]
    return envelope["data"]


def error(response: httpx.Response, status: int) -> Any:
    """Returns what is in the envelope of a failure."""
    assert response.status_code == status, response.text
    envelope = response.json()
    assert envelope["success"] is False
    assert envelope["timestamp"]
    return envelope["error"]


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yields the events of a stream."""
    assert response.headers["content-type"].startswith("text/event-stream")
    for line in response.iter_lines():
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def test_from_a_table_to_synthetic_rows(signed_in: httpx.Client, flights: pd.DataFrame) -> None:
    """Upload a form, look, start, watch, download, sample, delete: every answer in its envelope, files raw."""
    http = signed_in
    form = {"file": ("flights.csv", flights.to_csv(index=False), "text/csv")}
    dataset = data(http.post("/upload/dataset", files=form, data={"name": "flights", "description": "of 2013"}))
    assert (dataset["state"], dataset["row_count"], dataset["name"]) == ("DATASET_STATE_READY", 400, "flights")
    dataset_id = dataset["dataset_id"]
    assert data(http.get(f"/datasets/{dataset_id}"))["columns"][0]["type"] == "date"
    assert [each["dataset_id"] for each in data(http.get("/api/v1/datasets"))["datasets"]] == [dataset_id]
    profile = data(http.get(f"/datasets/{dataset_id}/stats"))
    assert profile["columns"][4]["numeric"]["mean"] == pytest.approx(flights["distance"].mean())
    page = data(http.get(f"/datasets/{dataset_id}/data", params={"page_size": 3}))
    assert [row["carrier"] for row in page["rows"]] == flights["carrier"].head(3).tolist()
    assert page["next_page_token"]
    exported = http.get(f"/datasets/{dataset_id}/export", params={"format": "csv"})
    assert "attachment" in exported.headers["content-disposition"]
    assert len(exported.text.splitlines()) == 401

    request = {
        "dataset_id": dataset_id,
        "sample_size": 50,
        "seed": 11,
        "model_config": {"model_type": "tvae", "epochs": 10, "batch_size": 100},
        "output_format": "csv",
    }
    assert data(http.post("/generation-v2/validate", json=request))["valid"] is True
    job = data(http.post("/generation/start", json=request))
    assert (job["dataset_id"], job["seed"], job["model_config"]["epochs"]) == (dataset_id, 11, 10)
    job_id = job["job_id"]
    with http.stream("GET", f"/generation/watch/{job_id}") as stream:
        told = [event for event in events(stream) if event["sequence"]]
    assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
    assert told[-1]["state"] == "JOB_STATE_SUCCEEDED"
    with http.stream("GET", f"/generation/watch/{job_id}", params={"resume_token": told[2]["resume_token"]}) as stream:
        assert next(event for event in events(stream) if event["sequence"])["sequence"] == 4
    status = data(http.get(f"/generation/status/{job_id}"))
    assert (status["state"], status["progress"]) == ("JOB_STATE_SUCCEEDED", 1)
    assert [each["job_id"] for each in data(http.get("/generation/requests"))["jobs"]] == [job_id]

    table = http.get(f"/generation/download/{job_id}")
    assert table.headers["content-type"].startswith("text/csv")
    assert len(table.text.splitlines()) == 51
    signed = data(http.get(f"/generation/download-url/{job_id}"))["url"]
    assert httpx.get(signed).content[:4] == b"PAR1"
    drawn = http.post(f"/generation/models/{status['model_id']}/sample", json={"n": 5, "seed": 1})
    assert drawn.headers["x-seed"] == "1"
    assert len([json.loads(line) for line in drawn.text.splitlines()]) == 5

    report = data(http.get(f"/api/v1/generation/quality/{job_id}"))
    assert report["quality_score"]["value"] == pytest.approx(status["quality_score"])
    assert next(part["name"] for part in report["parts"]) == "statistical_similarity"
    judged = data(http.post("/generation/evaluate", json={"dataset_id": dataset_id, "job_id": job_id}))
    assert judged["rows"] == report["rows"]
    wrong = error(http.post("/generation/evaluate", json={"dataset_id": dataset_id, "target_column": "none"}), 400)
    fields = {each["field"] for detail in wrong["details"] for each in detail.get("field_violations", [])}
    assert fields == {"table_dataset_id", "target_column"}

    refused = error(http.delete(f"/datasets/{dataset_id}"), 400)
    assert refused["code"]
    assert data(http.delete(f"/datasets/{dataset_id}", params={"cascade": "true"})) == {
        "deleted_jobs": 1,
        "deleted_models": 1,
        "deleted_studies": 0,
    }
    assert error(http.get(f"/generation/status/{job_id}"), 404)["code"] == "JOB_NOT_FOUND"


def test_raw_upload(signed_in: httpx.Client) -> None:
    """A file can be the body itself, with its name in the address."""
    dataset = data(
        signed_in.post(
            "/api/datasets/upload",
            params={"name": "raw"},
            content=b"a,b\n1,x\n2,y\n",
            headers={"content-type": "text/csv"},
        )
    )
    assert (dataset["name"], dataset["row_count"], dataset["source_format"]) == ("raw", 2, "csv")


def test_sessions_end(signed_in: httpx.Client, email: str) -> None:
    """Tokens are renewed by rotation, a second use of a refresh token ends the session, and so does signing out."""
    http = signed_in
    assert data(http.get("/auth/me"))["email"] == email
    first = data(http.post("/auth/login", json={"email": email, "password": PASSWORD}))
    second = data(http.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}))
    assert second["refresh_token"] != first["refresh_token"]
    reused = error(http.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}), 401)
    assert reused["code"] == "REFRESH_TOKEN_REUSED"
    error(http.post("/auth/refresh", json={"refresh_token": second["refresh_token"]}), 401)
    assert data(http.post("/auth/logout", json={}))["ended_sessions"] == 1


def test_failures_have_one_shape(signed_in: httpx.Client, http: httpx.Client, platform: PlatformForTests) -> None:
    """Failures of services and of the gateway itself come in the same envelope, with every wrong field named."""
    wrong = error(http.post("/auth/register", json={"email": "nobody", "password": "short", "display_name": ""}), 400)
    fields = {each["field"] for detail in wrong["details"] for each in detail.get("field_violations", [])}
    assert {"email", "password"} <= fields
    assert error(httpx.get(f"{platform.url}/auth/me"), 401)["code"]
    assert error(httpx.get(f"{platform.url}/auth/me", headers={"authorization": "Bearer x"}), 401)["code"]
    assert error(signed_in.get("/admin/users"), 403)["code"]
    assert error(signed_in.get("/no/such/route"), 404)["code"]
    assert error(signed_in.get("/datasets/not-an-id"), 404)["code"] == "DATASET_NOT_FOUND"


def test_documentation_and_keys(http: httpx.Client) -> None:
    """Health, documentation and public keys are there for everybody."""
    assert http.get("/health").status_code == 200
    assert "/generation/start" in http.get("/openapi.json").json()["paths"]
    assert http.get("/docs").headers["content-type"].startswith("text/html")
    assert http.get("/.well-known/jwks.json").json()["keys"][0]["kty"] == "EC"
