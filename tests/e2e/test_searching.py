"""A search for parameters, told with HTTP requests and with the command line, on the whole platform."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.cli import exit_codes
from tests.e2e.conftest import PASSWORD
from tests.e2e.test_command_line import Shell
from tests.e2e.test_rest import data, events
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

SEARCH: dict[str, Any] = {
    "model_type": "gaussian_copula",
    "optimization_method": "random",
    "n_trials": 2,
    "search_space": {"default_distribution": {"choices": ["norm", "truncnorm", "uniform"]}},
    "random_state": 42,
}


@pytest.fixture
def table(flights: pd.DataFrame) -> pd.DataFrame:
    """A table on which a trial takes a moment."""
    return flights[["carrier", "distance", "cancelled"]].head(120)


@pytest.fixture
def http(platform: PlatformForTests, client: Client) -> Iterator[httpx.Client]:
    """The same user with HTTP requests."""
    with httpx.Client(base_url=platform.url, timeout=120) as opened:
        tokens = data(opened.post("/auth/login", json={"email": client.email, "password": PASSWORD}))
        opened.headers["authorization"] = f"Bearer {tokens['access_token']}"
        yield opened


def test_with_http_requests(http: httpx.Client, client: Client, table: pd.DataFrame) -> None:
    """A study is started, watched as server-sent events, and its best parameters generate a table."""
    dataset = client.datasets.upload(table, name="flights")
    study = data(http.post("/optimization/start", json={"dataset_id": dataset.id, **SEARCH}))
    study_id = study["study_id"]
    with http.stream("GET", f"/optimization/watch/{study_id}") as stream:
        seen = list(events(stream))
    told = [event for event in seen if event["kind"] != "heartbeat"]
    assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
    assert told[-1]["state"] == "STUDY_STATE_SUCCEEDED"
    middle = told[len(told) // 2]
    with http.stream("GET", f"/optimization/watch/{study_id}?resume_token={middle['resume_token']}") as stream:
        rest = [event for event in events(stream) if event["kind"] != "heartbeat"]
    assert rest == told[middle["sequence"] :]
    trials = data(http.get(f"/optimization/trials/{study_id}"))["trials"]
    assert [trial["state"] for trial in trials] == ["TRIAL_STATE_SUCCEEDED"] * 2
    best = data(http.get(f"/optimization/best/{study_id}"))
    assert best["trial"]["score"] == max(trial["score"] for trial in trials)
    [listed] = data(http.get("/optimization/studies"))["studies"]
    assert listed["best_trial"]["number"] == best["trial"]["number"]
    kept = [model.id for model in client.models.list()]
    assert kept == [best["trial"]["model_id"]]
    asked = {"dataset_id": dataset.id, "sample_size": 10, "model_config": best["model_config"]}
    job = data(http.post("/generation/start", json=asked))
    assert client.jobs.get(job["job_id"]).wait(progress=False).state == "succeeded"
    assert [each.id for each in client.jobs.list()] == [job["job_id"]]  # trials are in nobody's list
    stopped = data(http.put(f"/optimization/stop/{study_id}", json={}))
    assert stopped["state"] == "STUDY_STATE_SUCCEEDED"
    gone = data(http.delete(f"/datasets/{dataset.id}", params={"cascade": "true"}))
    assert gone["deleted_studies"] == 1
    assert http.get(f"/optimization/best/{study_id}").status_code == 404


def test_with_the_command_line(platform: PlatformForTests, email: str, table: pd.DataFrame, tmp_path: Path) -> None:
    """A study is started and watched, and its trials and its best are shown; another one is stopped."""
    shell = Shell(platform.url, tmp_path)
    shell.run("register", email, "--password-stdin", standard_input=PASSWORD)
    table.to_csv(tmp_path / "flights.csv", index=False)
    shell.run("datasets", "upload", "flights.csv")
    search = ("--search", 'default_distribution={"choices":["norm","uniform"]}')
    asked = ("optimize", "--dataset", "flights", "--model", "gaussian_copula", "--method", "random", *search)
    shown = shell.run(*asked, "--trials", "2", "--watch")
    assert "mirage generate" in shown
    [study] = shell.json("studies", "list")
    assert study["state"] == "STUDY_STATE_SUCCEEDED"
    assert len(shell.json("studies", "trials", "latest")) == 2
    lines = shell.run("studies", "watch", study["study_id"], "--json").splitlines()
    assert json.loads(lines[-1])["state"] == "STUDY_STATE_SUCCEEDED"
    assert "importance" in shell.run("studies", "show", "latest") or study["importances"] == {}
    other = shell.json(*asked, "--trials", "2")
    assert shell.json("studies", "stop", other["study_id"])["state"] in ("STUDY_STATE_STOPPED", "STUDY_STATE_SUCCEEDED")


def test_interrupted(platform: PlatformForTests, email: str, table: pd.DataFrame, tmp_path: Path) -> None:
    """Ctrl-C while `optimize --watch` shows a study stops the study, and says where its best is."""
    shell = Shell(platform.url, tmp_path)
    shell.run("register", email, "--password-stdin", standard_input=PASSWORD)
    table.to_csv(tmp_path / "flights.csv", index=False)
    shell.run("datasets", "upload", "flights.csv")
    asked = ("optimize", "--dataset", "flights", "--model", "tvae", "--search", "epochs=[400,500]", "--watch")
    process = subprocess.Popen(
        shell.command(*asked), env=shell.environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while not (found := shell.json("studies", "list", "--state", "running")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == exit_codes.INTERRUPTED, said
    assert f"mirage studies best {found[0]['study_id']}" in said
    assert shell.json("studies", "show", "latest")["state"] == "STUDY_STATE_STOPPED"


@pytest.mark.slow
def test_bad_trials_are_stopped_early(http: httpx.Client, client: Client, flights: pd.DataFrame) -> None:
    """Hyperband over a model that is scored while it trains calls off those that learn too slowly, by real scores."""
    dataset = client.datasets.upload(flights, name="pruning")
    study = client.optimize(
        dataset,
        "autoregressive",
        9,
        method="hyperband",
        metric="correlation_preservation",
        space={"epochs": [3, 27], "learning_rate": [1e-6, 1e-2]},
        seed=5,
        progress=False,
        parameters={"patience": 20},  # a word that the search has too
        width=32,
        inner_width=16,
    )
    trials = data(http.get(f"/optimization/trials/{study.id}"))["trials"]
    pruned = [trial for trial in trials if trial["state"] == "TRIAL_STATE_PRUNED"]
    assert len(pruned) >= 3
    assert {trial["state"] for trial in trials} == {"TRIAL_STATE_PRUNED", "TRIAL_STATE_SUCCEEDED"}
    assert study.trials_pruned == len(pruned)
    assert study.state == "succeeded"
    assert study.best_trial is not None
    for trial in pruned:
        assert trial["epoch"] in (3, 9)
        assert trial["score"] == trial["metrics"]["correlation_preservation"] < study.best_trial.score
        assert not trial["model_id"]
    with http.stream("GET", f"/optimization/watch/{study.id}") as stream:
        told = [event["trial"] for event in events(stream) if event["kind"] == "epoch"]
    at_rungs = [trial for trial in told if trial["state"] == "TRIAL_STATE_RUNNING" and "score" in trial]
    assert {trial["number"] for trial in at_rungs} == set(range(1, 10)), "each was seen while it trained"
    assert [model.id for model in client.models.list()] == [study.best_trial.model_id]
