"""What the command line says of studies."""

import shlex

from mirage.cli.studies import generate_command
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
