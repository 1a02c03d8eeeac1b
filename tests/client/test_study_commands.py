"""What the command line says of studies."""

import io
import shlex

from rich.console import Console

from mirage.cli.studies import best_facts, generate_command
from mirage.cli.values import parsed
from mirage.optimizer.v1 import study_pb2 as pb
from mirage.records.optimizer import BestTrial, StudyFields
from servicekit.structs import to_struct


def test_the_command_that_generates_with_the_best() -> None:
    """A shell and the command line read every parameter as it was: lists, truth values, numbers, words."""
    parameters = {"epochs": 120, "generator_dim": [128, 128], "log_frequency": False, "generator_lr": 1e-05}
    config = {"model_type": "copulagan", **parameters, "default_distribution": "gaussian_kde"}
    study = StudyFields(pb.Study(dataset_id="0190d6f0", model_type="copulagan"))
    best = BestTrial(pb.BestTrial(model_config=to_struct(config)))
    words = shlex.split(generate_command(study, best))
    assert words[:5] == ["mirage", "generate", "0190d6f0", "--model", "copulagan"]
    assert words[5::2] == ["--param"] * 5
    assert parsed("--param", words[6::2]) == {**parameters, "default_distribution": "gaussian_kde"}


def test_the_engine_is_the_studys() -> None:
    """Where a model is of an engine that isn't its first, the command names it."""
    study = StudyFields(pb.Study(dataset_id="0190d6f0", model_type="gaussian_copula", engine="mirage"))
    best = BestTrial(pb.BestTrial(model_config=to_struct({"model_type": "gaussian_copula"})))
    assert generate_command(study, best) == "mirage generate 0190d6f0 --model gaussian_copula --engine mirage"


def test_an_ended_study_without_a_best() -> None:
    """Of a study that has ended it isn't said that a best may come yet."""
    caps = to_struct({"privacy.membership_auc": {"max": 0.01}})
    study = pb.Study(study_id="1", optimization_metric="quality_score", state=pb.STUDY_STATE_RUNNING, caps=caps)
    study.n_trials = 4
    assert "has no best trial yet: 0 of 4 have ended." in _said(study, pb.BestTrial())
    study.state = pb.STUDY_STATE_SUCCEEDED
    assert "each failed, was stopped, breaks a cap, or has no quality_score." in _said(study, pb.BestTrial())


def test_metrics_that_matter() -> None:
    """The best is told with its parts and with what was sought or capped, not with every figure that there is."""
    metrics = {"quality_score": 0.5, "privacy": 1.0, "privacy.membership_auc": 0.25, "privacy.new_rows": 0.125}
    study = pb.Study(optimization_metric="quality_score", caps=to_struct({"privacy.membership_auc": {"max": 0.6}}))
    said = _said(study, pb.BestTrial(trial=pb.StudyTrial(number=1, metrics=metrics)))
    assert "privacy=1.0, privacy.membership_auc=0.25, quality_score=0.5" in said
    assert "new_rows" not in said


def _said(study: pb.Study, best: pb.BestTrial) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(best_facts(StudyFields(study), BestTrial(best)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
