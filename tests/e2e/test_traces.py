"""One trace from the click to the last row, through the whole platform: nothing missing, and nobody's data in it."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from mirage import Client
from tests.e2e.conftest import PASSWORD
from tests.support.collector import Collector, ReceivedSpan
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

_PATIENCE_S = 60

FOREIGN = "4bf92f3577b34da6a3ce929d0e0e4736"
CSV = "patient,age,ward\n" + "".join(
    f"Grace Hopper {number},{20 + number % 60},{'ABC'[number % 3]}\n" for number in range(200)
)


@pytest.fixture
def browser(platform: PlatformForTests, client: Client, email: str) -> Iterator[httpx.Client]:
    """The same person over REST, with a program that would like to say which trace this is, and that it be recorded."""
    with httpx.Client(base_url=platform.url, timeout=60) as session:
        answer = session.post("/auth/login", json={"email": email, "password": PASSWORD})
        session.headers["authorization"] = f"Bearer {answer.json()['data']['access_token']}"
        session.headers["traceparent"] = f"00-{FOREIGN}-00f067aa0ba902b7-01"
        session.headers["tracestate"] = "somebody=else"
        session.headers["x-client-trace-id"] = "mine"
        yield session


def _names(spans: Sequence[ReceivedSpan]) -> set[tuple[str, str]]:
    return {(span.service, span.name) for span in spans}


def _under(spans: Sequence[ReceivedSpan], top: ReceivedSpan) -> list[ReceivedSpan]:
    """What hangs under a span, at whatever depth."""
    children = [span for span in spans if span.parent_id == top.span_id]
    return [*children, *(below for child in children for below in _under(spans, child))]


def _one(spans: Sequence[ReceivedSpan], service: str, name: str) -> ReceivedSpan:
    [found] = [span for span in spans if (span.service, span.name) == (service, name)]
    return found


def _until(look: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What is found, as soon as there is something."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)
    return found


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(errors="replace").splitlines() if line.startswith("{")]


def test_an_upload_and_a_job(
    platform: PlatformForTests, collector: Collector, client: Client, browser: httpx.Client, email: str
) -> None:
    """Each is one trace through gateway, services, database, object store and worker, with nobody's data in it."""
    user_id = browser.get("/auth/me").json()["data"]["user_id"]
    answer = browser.post(
        "/upload/dataset?name=Patients+of+Grace", content=CSV, headers={"content-type": "text/csv", "x-file": "secret"}
    )
    assert answer.status_code in (200, 201), answer.text
    dataset_id = answer.json()["data"]["dataset_id"]
    client.datasets.get(dataset_id).wait()
    upload = collector.trace(answer.headers["x-trace-id"], lambda spans: ("dataset", "read file in") in _names(spans))
    [root] = [span for span in upload if not span.parent_id]
    assert (root.service, root.name, root.kind) == ("gateway", "DatasetService.UploadDataset", "SERVER")
    received = _one(upload, "dataset", "mirage.dataset.v1.DatasetService/UploadDataset")
    assert received.parent_id == root.span_id
    assert {"INSERT dataset_versions", "INSERT pgqueuer", "COMMIT", "S3 PutObject", "queued"} <= {
        span.name for span in _under(upload, received)
    }
    ingested = _under(upload, _one(upload, "dataset", "read file in"))
    assert {"S3 GetObject", "reading", "profiling", "S3 PutObject", "UPDATE dataset_versions", "COMMIT"} <= {
        span.name for span in ingested
    }

    answer = browser.post(
        "/generation/start",
        json={"dataset_id": dataset_id, "sample_size": 20, "model_config": {"model_type": "gaussian_copula"}},
    )
    assert answer.status_code == 200, answer.text
    job_id = answer.json()["data"]["job_id"]
    client.jobs.get(job_id).wait(progress=False)
    asked = ("dataset", "mirage.dataset.v1.SourceService/GetSource")

    def is_whole(spans: Sequence[ReceivedSpan]) -> bool:
        """Each process sends its spans from time to time: the worker's, and those of whom it asked."""
        tops = [span for span in spans if (span.service, span.name) == ("generation-worker", "run job")]
        return bool(tops) and asked in _names(_under(spans, tops[0]))

    job = collector.trace(answer.headers["x-trace-id"], is_whole)
    assert [(span.service, span.name) for span in job if not span.parent_id] == [("gateway", "JobService.StartJob")]
    worked = _under(job, _one(job, "generation-worker", "run job"))
    assert {
        asked,
        *(("generation-worker", stage) for stage in ("preparing", "training", "sampling", "evaluating")),
        ("generation-worker", "S3 GetObject"),
        ("generation-worker", "S3 PutObject"),
        ("generation-worker", "INSERT models"),
        ("generation-worker", "COMMIT"),
    } <= _names(worked)
    # Of progress, looks and heartbeats, which come all the time, there is none.
    assert len([span for span in worked if span.name == "INSERT job_events"]) < 4

    for trace, log in ((upload, "dataset"), (job, "generation-worker")):
        assert not [span for span in trace if span.failed]
        told = repr(trace)
        assert not [word for word in (email, "Grace", "atient", "secret", "Bearer", user_id) if word in told]
        assert {span.attributes.get("peer.address", "-") for span in trace} <= {"-", "envoy://signing-keys/"}
        logged = _lines(platform.platform.home.logs / f"{log}.log")
        assert [line for line in logged if line.get("trace_id") == trace[0].trace_id]
    logged = _until(  # which the gateway writes from time to time
        lambda: [
            line
            for line in _lines(platform.platform.home.logs / "gateway.log")
            if "rpc" in line and line["trace_id"] == job[0].trace_id
        ]
    )
    assert answer.headers["x-request-id"] in {line["request_id"] for line in logged}
    assert not [span for span in collector.spans if span.trace_id == FOREIGN]


@pytest.mark.slow
def test_a_study(collector: Collector, client: Client, browser: httpx.Client) -> None:
    """A study's trials, which another service runs, belong to the trace of the click that began it."""
    answer = browser.post("/upload/dataset?name=ages", content=CSV, headers={"content-type": "text/csv"})
    answer = browser.post(
        "/optimization/start",
        json={
            "dataset_id": answer.json()["data"]["dataset_id"],
            "model_type": "gaussian_copula",
            "optimization_method": "random",
            "n_trials": 1,
        },
    )
    assert answer.status_code == 200, answer.text
    client.studies.get(answer.json()["data"]["study_id"]).wait(progress=False)
    trace = collector.trace(
        answer.headers["x-trace-id"],
        lambda spans: {("optimizer", "run study"), ("generation-worker", "run job")} <= _names(spans),
    )
    study = _one(trace, "optimizer", "run study")
    trial = _under(trace, _one(_under(trace, study), "optimizer", "run trial"))
    assert ("generation-worker", "training") in _names(trial)


def test_errors_name_their_trace(platform: PlatformForTests, collector: Collector, browser: httpx.Client) -> None:
    """An error's answer, its spans and the log are found by the same ids; the caller's fault is no failure of ours."""
    answer = browser.get("/generation/status/0197b1c0-0000-7000-8000-000000000001")
    assert answer.status_code == 404
    [info] = answer.json()["error"]["details"]
    ids = {"request_id": answer.headers["x-request-id"], "trace_id": answer.headers["x-trace-id"]}
    assert info["metadata"].items() >= ids.items()
    spans = collector.trace(ids["trace_id"], lambda spans: len(spans) >= 2)
    served = _one(spans, "generation", "mirage.generation.v1.JobService/GetJob")
    assert (served.failed, served.attributes["error.type"]) == (False, "JOB_NOT_FOUND")
    assert served.attributes["mirage.request_id"] == ids["request_id"]
    for path in ("/nothing", "/auth/me?nothing=1"):  # the gateway's own
        answer = browser.get(path)
        ids = {"request_id": answer.headers["x-request-id"], "trace_id": answer.headers["x-trace-id"]}
        assert answer.json()["error"]["details"][0]["metadata"] == ids


def test_health_leaves_no_trace(collector: Collector, browser: httpx.Client) -> None:
    """Probes of health are not recorded; what is asked after them is."""
    probed = browser.get("/health").headers["x-trace-id"]
    asked = browser.get("/auth/me").headers["x-trace-id"]
    collector.trace(asked, lambda spans: len(spans) >= 2)
    assert not [span for span in collector.spans if span.trace_id == probed]
