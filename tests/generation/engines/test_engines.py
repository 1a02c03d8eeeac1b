"""What every engine must do, run against each model type of each."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from services.generation.engines import ENGINES
from services.generation.engines.protocol import (
    Cancelled,
    Engine,
    Failure,
    FittedModel,
    ModelSpec,
    Progress,
    Stage,
)
from tests.generation.engines.conftest import Listener

pytestmark = pytest.mark.xdist_group("engines")

EPOCHS = 3
ALL = [(engine, model_type) for engine in ENGINES for model_type in ENGINES[engine].model_types]


def spec_of(engine: Engine, model_type: str, seed: int = 1, **changes: object) -> ModelSpec:
    """A model type's default parameters, made small."""
    parameters = engine.model_types[model_type].parameters().in_force()
    changes = {"epochs": EPOCHS, "batch_size": 100} | changes
    return ModelSpec(model_type, parameters | {k: v for k, v in changes.items() if k in parameters}, seed)


class Fitted:
    """One model of each type, fitted once for the module."""

    def __init__(self, engine: Engine, model_type: str, table: pa.Table) -> None:
        self.engine, self.model_type, self.table = engine, model_type, table
        self.listener = Listener()
        self.spec = spec_of(engine, model_type)
        self.model: FittedModel = engine.fit(table, self.spec, self.listener)

    def rows(self, count: int = 200, seed: int = 1, **conditions: float | int) -> pa.Table:
        """Rows drawn from the model."""
        return pa.concat_tables(self.model.sample(count, seed, conditions, Listener()))


@pytest.fixture(scope="module", params=ALL, ids="-".join)
def fitted(request: pytest.FixtureRequest, learned: pa.Table) -> Fitted:
    """A fitted model of every type of every engine."""
    engine, model_type = request.param
    return Fitted(ENGINES[engine], model_type, learned)


def test_progress(fitted: Fitted) -> None:
    """Every epoch is told, in order, with finite losses by name."""
    heard = fitted.listener.heard
    assert {progress.stage for progress in heard} == {Stage.TRAINING}
    if "epochs" not in fitted.spec.parameters:
        assert heard == [Progress(Stage.TRAINING)]
        return
    assert [(progress.epoch, progress.epochs) for progress in heard] == [(n, EPOCHS) for n in range(EPOCHS + 1)]
    for progress in heard[1:]:
        assert progress.losses
        assert np.isfinite(list(progress.losses.values())).all()


def test_rows_are_learned_rows(fitted: Fitted) -> None:
    """Rows have the learned table's columns and types, and only codes that occur."""
    rows = fitted.rows()
    assert rows.schema.equals(fitted.table.schema)
    assert len(rows) == 200
    for field in rows.schema:
        own, new = fitted.table[field.name].to_numpy(), rows[field.name].to_numpy()
        assert np.isfinite(new).all()
        if pa.types.is_integer(field.type):
            assert set(new) <= set(own)


def test_seed_governs_sampling(fitted: Fitted) -> None:
    """The same seed gives the same rows whatever was drawn before; another seed gives others."""
    first = fitted.rows(seed=1)
    other = fitted.rows(seed=2)
    assert fitted.rows(seed=1).equals(first)
    assert not other.equals(first)


def test_seed_governs_fitting(fitted: Fitted) -> None:
    """The same table, spec and seed give the same model: the same rows, value for value."""
    again = Fitted(fitted.engine, fitted.model_type, fitted.table)
    assert again.rows().equals(fitted.rows())


def test_batches(fitted: Fitted) -> None:
    """Many rows come in several batches, each told with the rows so far."""
    listener = Listener()
    batches = list(fitted.model.sample(7_000, 1, {}, listener))
    assert len(batches) > 1
    assert sum(map(len, batches)) == 7_000
    assert [progress.rows_sampled for progress in listener.heard] == list(np.cumsum([len(batch) for batch in batches]))
    assert {(progress.stage, progress.rows) for progress in listener.heard} == {(Stage.SAMPLING, 7_000)}


def test_saved_model_is_the_same(fitted: Fitted, tmp_path: Path) -> None:
    """A model that was saved and loaded draws the very rows that it drew before."""
    before = fitted.rows()
    fitted.model.save(tmp_path)
    loaded = fitted.engine.load(tmp_path)
    assert pa.concat_tables(loaded.sample(200, 1, {}, Listener())).equals(before)


def test_conditions(fitted: Fitted) -> None:
    """Rows drawn under conditions meet them: a category exactly, a number nearly."""
    free = fitted.rows(500)
    kind = int(np.bincount(free["c2"].to_numpy()).argmax())  # what even a model of three epochs makes
    value = float(np.median(free["c0"].to_numpy()[free["c2"].to_numpy() == kind]))
    rows = fitted.rows(50, c2=kind, c0=value)
    assert len(rows) == 50
    assert set(rows["c2"].to_pylist()) == {kind}
    deviation = float(np.std(fitted.table["c0"].to_numpy()))
    assert np.abs(rows["c0"].to_numpy() - value).max() <= 0.1 * deviation + 1e-9
    assert rows.equals(fitted.rows(50, c2=kind, c0=value))


def test_impossible_conditions(fitted: Fitted) -> None:
    """Conditions that the model never meets are refused in words instead of being tried for ever."""
    with pytest.raises(Failure) as caught:
        fitted.rows(10, c0=1e6)
    assert caught.value.reason == "CONDITION_TOO_RARE"


def test_sampling_is_called_off(fitted: Fitted) -> None:
    """A sampling that is called off ends before its next batch."""
    listener = Listener(called_off=lambda listener: bool(listener.heard))
    with pytest.raises(Cancelled):
        list(fitted.model.sample(20_000, 1, {}, listener))
    assert len(listener.heard) == 1


def test_training_is_called_off(fitted: Fitted) -> None:
    """A training that is called off ends with its epoch."""
    if "epochs" not in fitted.spec.parameters:
        return
    listener = Listener(called_off=lambda listener: len(listener.heard) > 1)
    with pytest.raises(Cancelled):
        fitted.engine.fit(fitted.table, spec_of(fitted.engine, fitted.model_type, epochs=500), listener)
    assert listener.heard[-1].epoch == 1


@pytest.mark.parametrize("column", ["c0", "c2"])
def test_single_column(fitted: Fitted, column: str) -> None:
    """A table of one column, a number or a category, can be learned too."""
    table = fitted.table.select([column]).slice(0, 120)
    model = fitted.engine.fit(table, spec_of(fitted.engine, fitted.model_type, epochs=1), Listener())
    assert len(pa.concat_tables(model.sample(20, 1, {}, Listener()))) == 20


def test_versions(fitted: Fitted) -> None:
    """An engine tells the versions of what makes its rows."""
    assert all(version[0].isdigit() for version in fitted.engine.versions().values())
