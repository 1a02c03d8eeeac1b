"""Spaces for those who name none, against the parameter tables of the models themselves."""

from dataclasses import asdict

import numpy as np
import pytest

from services.generation.engines.catalogue import CheckedModel, check_model, describe_model, model_types
from services.optimizer.problem import parameter_table
from services.optimizer.search import parse_space
from services.optimizer.spaces import suitable_space
from services.optimizer.trial_client import TableFacts

ROWS = 540


@pytest.mark.parametrize("model_type", model_types())
def test_every_point_of_a_suitable_space_can_be_trained(model_type: str) -> None:
    """Where no space is named, no trial is refused for its parameters, whatever the model type."""
    table = _table(check_model({"model_type": model_type}))
    facts = TableFacts(1, "table", ROWS, "", "", model_type, tuple(table), {}, scores_while_training=False)
    space = parse_space(suitable_space(facts), parameter_table(table), rows=ROWS)
    for units in np.random.default_rng(1).random((50, len(space.domains))):
        parameters = space.model_parameters(space.decode(list(units)))
        checked = check_model({"model_type": model_type, **parameters}, rows=ROWS)
        assert checked.adjustments == ()


def _table(model: CheckedModel) -> list[dict[str, object]]:
    """A model's parameters as a study gets them."""
    return [
        {name: value for name, value in asdict(each).items() if name != "description"}
        for each in describe_model(model).parameters
    ]
