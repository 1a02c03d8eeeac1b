"""What is particular to Mirage's own models."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import mirage_engine
from services.generation.engines.mirage import FILE, MirageEngine, MirageModel
from services.generation.engines.protocol import Cancelled, ModelSpec
from tests.generation.engines.conftest import Listener

# Every parameter with a value that isn't the default.
OTHERS: dict[str, dict[str, object]] = {
    "autoregressive": {
        "epochs": 2,
        "patience": 3,
        "width": 16,
        "inner_width": 8,
        "dropout": 0.05,
        "weight_decay": 0.2,
        "learning_rate": 1e-3,
    },
    "gaussian_copula": {"ordering_rows": 100, "least_eigenvalue": 0.01},
}


def fitted(model_type: str, table: pa.Table, listener: Listener | None = None) -> MirageModel:
    """A model with none of its parameters at the default."""
    return MirageEngine().fit(table, ModelSpec(model_type, OTHERS[model_type], 1), listener or Listener())


@pytest.mark.parametrize("model_type", OTHERS)
def test_every_parameter_reaches_the_model(model_type: str, learned: pa.Table, tmp_path: Path) -> None:
    """The model's own record has every parameter as it was given, and the seed."""
    table = MirageEngine.model_types[model_type].parameters
    assert set(OTHERS[model_type]) == set(table().in_force())
    fitted(model_type, learned).save(tmp_path)
    record = mirage_engine.load(tmp_path / FILE).record
    for name, value in OTHERS[model_type].items():
        assert value != table.model_fields[name].default
        assert getattr(record.settings, name) == value
    assert record.seed == 1


@pytest.mark.parametrize("model_type", OTHERS)
def test_conditions_on_numbers_hold_exactly(model_type: str, learned: pa.Table) -> None:
    """A number that is asked for is the one that comes, to the last digit, without a row being thrown away."""
    value = float(np.median(learned["c1"].to_numpy())) + 1e-9
    rows = pa.concat_tables(fitted(model_type, learned).sample(30, 1, {"c1": value, "m1": 1}, Listener()))
    assert rows["c1"].to_pylist() == [value] * 30
    assert rows["m1"].to_pylist() == [1] * 30


def test_a_copula_without_epochs_can_be_called_off(learned: pa.Table) -> None:
    """A fit that tells no epochs ends all the same when it is called off."""
    with pytest.raises(Cancelled):
        fitted("gaussian_copula", learned, Listener(called_off=lambda _: True))


def test_rows_can_be_drawn_while_it_trains(learned: pa.Table) -> None:
    """After an epoch that somebody asks for, rows of the learned table's schema are drawn and its scores told."""
    listener = Listener(scored_after=(2,))
    fitted("autoregressive", learned, listener)
    assert [table.schema for table in listener.drawn] == [learned.schema]
    assert [(told.epoch, told.scores) for told in listener.heard if told.scores] == [(2, {"rows": 40.0})]
