"""Searches whose processes are killed while they run."""

from typing import Any

import pandas as pd
import pytest

from mirage import Client
from mirage.records.optimizer import StudyEvent
from tests.e2e.faults.parts import Parts, until
from tests.support.platform import PlatformForTests

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

SEARCH: dict[str, Any] = {
    "model": "tvae",
    "trials": 3,
    "method": "random",
    "space": {"embedding_dim": [4, 16], "l2scale": [1e-6, 1e-4]},
    "seed": 5,
    "epochs": 40,
    "batch_size": 10,
    "compress_dims": [16],
    "decompress_dims": [16],
}


def test_the_optimizer_and_the_worker_are_killed(parts: Parts, client: Client, people: pd.DataFrame) -> None:
    """The study ends as if nothing had been: the same points, each told once; nothing is lost for who watches."""
    dataset = client.datasets.upload(people)
    undisturbed = client.optimize(dataset, **SEARCH, progress=False)
    study = client.optimize(dataset, **SEARCH, wait=False)
    events: list[StudyEvent] = []
    killed: list[str] = []
    for event in study.watch(timeout_s=200):
        events.append(event)
        if event.kind == "epoch" and event.trial is not None and event.trial.epoch:
            if event.trial.number == 1 and not killed:
                parts.kill("optimizer")
                killed.append("optimizer")
            elif event.trial.number == 2 and len(killed) == 1:
                parts.kill("generation-worker")
                killed.append("generation-worker")
    assert killed == ["optimizer", "generation-worker"]
    study.settle()
    assert (study.state, study.trials_ended) == ("succeeded", 3)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    ended = [event.trial.number for event in events if event.kind == "trial_ended" and event.trial is not None]
    assert ended == [1, 2, 3]
    trials, undisturbed_trials = study.trials(), undisturbed.trials()
    assert [trial.parameters for trial in trials] == [trial.parameters for trial in undisturbed_trials]
    assert [trial.score for trial in trials] == pytest.approx([trial.score for trial in undisturbed_trials])
    assert trials[1].attempts == 2
    until(lambda: len(client.models.list()) == 2, "the models of both studies' best trials")


def test_a_stopped_study_frees_its_processor(
    parts: Parts, platform: PlatformForTests, client: Client, people: pd.DataFrame
) -> None:
    """Stopping in the middle of a training answers at once, and ends the training."""
    dataset = client.datasets.upload(people)
    study = client.optimize(dataset, **{**SEARCH, "epochs": 500, "batch_size": 2}, wait=False)
    for event in study.watch(timeout_s=120):
        if event.kind == "epoch" and event.trial is not None and event.trial.epoch:
            break
    assert study.stop().state == "stopped"
    until(lambda: not parts.work_in_progress(), "the training to end")
    assert study.stop().state == "stopped"
    assert [trial.state for trial in study.trials()] == ["cancelled"]
