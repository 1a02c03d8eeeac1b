"""A job whose parameters are searched for first, on the whole platform: optimizer, generation, worker and gateway."""

from typing import Any

import pandas as pd
import pytest

from mirage import Client
from mirage.errors import InvalidRequest, NotFound

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.slow]

SEARCH: dict[str, Any] = {"enabled": True, "method": "random", "n_trials": 2, "search_space": {"epochs": [10, 14]}}
TVAE: dict[str, Any] = {"model": "tvae", "batch_size": 100, "embedding_dim": 8}


def test_a_job_with_a_search(client: Client, flights: pd.DataFrame) -> None:
    """The search is told in the job's stream; the table is made with the best trial's parameters, and says by whom."""
    dataset = client.datasets.upload(flights, name="flights")
    job = client.generate(dataset, **TVAE, rows=80, seed=3, optimization=SEARCH, wait=False)
    assert job.state in {"optimizing", "queued"}
    told = [event.search for event in job.watch() if event.search is not None]
    assert told[-1].trials_ended == 2
    assert told[-1].best_trial in {1, 2}
    job.wait()
    assert job.state == "succeeded"
    assert job.study_id == told[-1].study_id
    best = client.studies.get(job.study_id).best_trial
    assert best is not None
    assert job.parameters["epochs"] == best.parameters["epochs"]
    assert job.metadata()["search"]["best_trial"] == best.number
    assert [each.id for each in client.jobs.list()] == [job.id], "trials are nobody's jobs"


def test_stopping_and_cancelling(client: Client, flights: pd.DataFrame) -> None:
    """A search that is stopped by its owner goes on with the best so far; one whose job is cancelled is stopped."""
    dataset = client.datasets.upload(flights, name="flights")
    long = {**SEARCH, "n_trials": 50}
    job = client.generate(dataset, **TVAE, rows=80, seed=3, optimization=long, wait=False)
    for event in job.watch():
        if event.search is not None and event.search.best_trial:
            client.studies.get(event.search.study_id).stop()
            break
    job.wait()
    assert (job.state, job.metadata()["search"]["n_trials"]) == ("succeeded", 50)
    cancelled = client.generate(dataset, **TVAE, rows=80, optimization=long, wait=False)
    study_id = next(event.search.study_id for event in cancelled.watch() if event.search is not None)
    cancelled.cancel()
    assert [event.state for event in client.studies.get(study_id).watch()][-1] == "stopped"


def test_wrong_searches(client: Client, flights: pd.DataFrame) -> None:
    """What is wrong with a search is named with everything else that is wrong."""
    dataset = client.datasets.upload(flights, name="flights")
    space = {"depth": [1, 2]}
    wrong = {"enabled": True, "method": "divination", "n_trials": 0, "metric": "beauty", "search_space": space}
    with pytest.raises(InvalidRequest) as caught:
        client.generate(dataset, model="tvae", rows=0, optimization=wrong)
    fields = {violation.field for violation in caught.value.violations}
    names = ("method", "n_trials", "metric", "search_space.depth")
    assert fields == {"sample_size", *(f"optimization_config.{name}" for name in names)}
    with pytest.raises(NotFound):
        client.studies.get("019a7b1c-4d3e-7f52-8a6b-0c1d2e3f4a5b")
