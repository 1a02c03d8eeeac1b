"""Spaces for those who name none, against the parameter tables of the models themselves."""

from dataclasses import asdict

import numpy as np
import pytest

from services.generation.engines.catalogue import check_model, describe_model, model_types
from services.optimizer.problem import parameter_table
from services.optimizer.search import parse_space
from services.optimizer.spaces import suitable_space
from services.optimizer.trial_client import TableFacts

ROWS = 540


@pytest.mark.parametrize("model_type", model_types())
def test_every_point_of_a_suitable_space_can_be_trained(model_type: str) -> None:
    """Where no space is named, no trial is refused for its parameters, whatever the model type."""
    facts = _facts(model_type)
    space = parse_space(suitable_space(facts), parameter_table(facts.parameters), rows=ROWS)
    for units in np.random.default_rng(1).random((50, len(space.domains))):
        parameters = space.model_parameters(space.decode(list(units)))
        checked = check_model({"model_type": model_type, **parameters}, rows=ROWS)
        assert checked.adjustments == ()


@pytest.mark.parametrize(
    ("given", "left_out"),
    [("epochs", {"epochs"}), ("generator_lr", {"learning_rate"}), ("learning_rate", {"learning_rate"})],
)
def test_what_is_given_is_not_searched(given: str, left_out: set[str]) -> None:
    """A parameter that somebody sets, and a rate that would overrule it, is in no space made for them."""
    facts = _facts("ctgan")
    assert set(suitable_space(facts)) - set(suitable_space(facts, given=[given])) == left_out & set(
        suitable_space(facts)
    )
    assert not left_out & set(suitable_space(facts, given=[given]))


def _facts(model_type: str) -> TableFacts:
    """What a study gets to know of a table for a model type."""
    parameters = tuple(
        {name: value for name, value in asdict(each).items() if name != "description"}
        for each in describe_model(check_model({"model_type": model_type})).parameters
    )
    return TableFacts(1, "table", ROWS, "", "", model_type, parameters, {}, scores_while_training=False)
