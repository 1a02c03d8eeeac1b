"""A job whose parameters are searched for while the processes that follow the search are killed."""

from typing import Any

import pandas as pd
import pytest

from mirage import Client
from mirage.records.generation import JobEvent
from tests.e2e.faults.parts import Parts, answer_to, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

TVAE: dict[str, Any] = {"model": "tvae", "batch_size": 20, "compress_dims": [16], "decompress_dims": [16], "epochs": 20}
SEARCH: dict[str, Any] = {
    "enabled": True,
    "method": "random",
    "n_trials": 4,
    "search_space": {"embedding_dim": [4, 16], "l2scale": [1e-6, 1e-4]},
}


def test_whoever_follows_the_search_is_killed(parts: Parts, client: Client, people: pd.DataFrame) -> None:
    """The generation service, the optimizer and the worker are killed in turn; the job ends well and tells all once."""
    dataset = client.datasets.upload(people)
    job = client.generate(dataset, **TVAE, rows=50, seed=5, optimization=SEARCH, wait=False)
    victims = ["generation", "optimizer", "generation-worker"]
    events: list[JobEvent] = []
    for event in job.watch(timeout_s=240):
        events.append(event)
        if event.search is not None and event.search.trials_ended == 4 - len(victims) and victims:
            parts.kill(victims.pop(0))
    assert not victims
    job.settle()
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    ended = [event.search.trials_ended for event in events if event.search is not None]
    assert ended == sorted(ended)
    assert ended[-1] == 4
    best = client.studies.get(job.study_id).best_trial
    assert best is not None
    assert job.parameters["embedding_dim"] == best.parameters["embedding_dim"]
    assert (job.state, len(job.dataframe())) == ("succeeded", 50)
    until(lambda: client.studies.get(job.study_id).state == "succeeded", "the study to be over")


def test_a_job_cancelled_while_nobody_follows(parts: Parts, client: Client, people: pd.DataFrame) -> None:
    """A study whose job is cancelled while the optimizer is away is stopped when that is back."""
    dataset = client.datasets.upload(people)
    job = client.generate(dataset, **TVAE, rows=50, optimization={**SEARCH, "n_trials": 40}, wait=False)
    study_id = next(event.search.study_id for event in job.watch() if event.search is not None)
    parts.stop("optimizer")
    job.cancel()
    assert job.state == "cancelled"
    parts.start("optimizer")
    until(lambda: answer_to(lambda: client.studies.get(study_id)).state == "stopped", "the study to be stopped")
    until(lambda: not parts.work_in_progress(), "the training to end")
