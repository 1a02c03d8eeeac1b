"""The autoregressive model from a table to rows: what comes out, and that it comes out the same."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from hypothesis import HealthCheck, given, settings

import mirage_engine
from mirage_engine import AutoregressiveModel, AutoregressiveSettings, Cancelled, CodecSettings, ModelFileRefused, Range
from mirage_engine.autoregressive.sampling import BLOCK_ROWS
from mirage_engine.progress import Epoch, Event, Sampled, Step
from tests.mirage_engine.tables import people, tables

TINY = AutoregressiveSettings(width=32, inner_width=16, epochs=12, learning_rate=0.01, weight_decay=0.01)
BRIEF = AutoregressiveSettings(width=16, inner_width=8, epochs=5, learning_rate=0.01)  # twelve steps an epoch


@pytest.fixture(scope="module")
def model() -> AutoregressiveModel:
    """A model of people."""
    return mirage_engine.fit(people(3000), TINY, seed=1)


def weights_of(model: AutoregressiveModel) -> dict[str, bytes]:
    """Weights, byte by byte."""
    return {name: tensor.numpy().tobytes() for name, tensor in model._network.state_dict().items()}


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(most_rows=12))
def test_any_table_can_be_learnt(table: pa.Table) -> None:
    """Rows of whatever table is learnt, of one row on, have its schema."""
    tiny = AutoregressiveSettings(width=4, inner_width=4, epochs=1)
    made = mirage_engine.fit(table, tiny, CodecSettings(rare_rows=2)).sample_table(10)
    assert made.num_rows == 10
    assert made.schema.equals(table.schema, check_metadata=True)
    made.validate(full=True)


def test_columns_keep_their_dependence(model: AutoregressiveModel) -> None:
    """What depends on what in the source does in the rows: cities on ages, membership on age, gaps on cities."""
    source, made = people(3000), model.sample_table(3000, seed=3)
    assert made.schema == source.schema
    ages = {row["city"]: row["age_mean"] for row in made.group_by("city").aggregate([("age", "mean")]).to_pylist()}
    expected = {
        row["city"]: row["age_mean"] for row in source.group_by("city").aggregate([("age", "mean")]).to_pylist()
    }
    assert ages == pytest.approx(expected, abs=5)
    agrees = pc.equal(pc.greater(made["age"], 50), made["member"])
    assert pc.mean(agrees).as_py() > 0.9
    missing = made.filter(pc.is_null(made["income"]))
    assert missing.num_rows == pytest.approx(source["income"].null_count, rel=0.2)
    assert pc.mean(pc.equal(missing["city"], "Rome")).as_py() > 0.85


def test_equal_seeds_give_equal_rows(model: AutoregressiveModel) -> None:
    """The same seed gives the same bytes in one go or in shards, on one thread or two; another seed gives others."""
    rows = 2 * BLOCK_ROWS + 100
    whole = model.sample_table(rows, seed=5)
    two_threads = pa.Table.from_batches(model.sample(rows, 5, threads=2))
    cuts = [0, 1, 700, BLOCK_ROWS, BLOCK_ROWS + 1, rows]
    shards = [
        pa.Table.from_batches(model.sample(end - start, 5, first_row=start), model.schema)
        for start, end in pairwise(cuts)
    ]
    assert two_threads.equals(whole)
    assert pa.concat_tables(shards).equals(whole)
    assert not model.sample_table(rows, seed=6).equals(whole)


def test_equal_seeds_give_equal_models() -> None:
    """Fitting again gives the same weights, bit for bit; another seed gives others."""
    first, again, other = (weights_of(mirage_engine.fit(people(400), BRIEF, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_model_comes_back_from_its_file(model: AutoregressiveModel, tmp_path: Path) -> None:
    """A model that was kept draws the same rows, and knows where it comes from; nothing in the file is pickled."""
    path = tmp_path / "people.mirage"
    model.save(path)
    again = mirage_engine.load(path)
    assert again.sample_table(500, seed=9).equals(model.sample_table(500, seed=9))
    assert again.record == model.record
    assert again.record.rows == 3000
    header = path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")]
    assert json.loads(json.loads(header)["__metadata__"]["mirage"])["kind"] == "autoregressive"
    assert list(tmp_path.iterdir()) == [path]


STORED = sorted((Path(__file__).parent / "stored").glob("*.mirage"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_models_of_every_version_can_be_read(path: Path) -> None:
    """A model that an earlier version wrote still loads, draws rows of its schema, and keeps to conditions."""
    stored = mirage_engine.load(path)
    made = stored.sample_table(50, seed=1, conditions={"city": "Rome", "age": Range(60, 70)})
    assert made.schema == people(1).schema
    assert set(made["city"].to_pylist()) == {"Rome"}
    assert all(60 <= age <= 70 for age in made["age"].to_pylist())
    assert np.isfinite(stored.log_probability(made)).all()


def test_a_changed_file_is_refused(model: AutoregressiveModel, tmp_path: Path) -> None:
    """A damaged file, one signed with another key, and what is no model are refused with a clear message."""
    path = tmp_path / "people.mirage"
    model.save(path, key=b"ours")
    mirage_engine.load(path, key=b"ours")
    for key in (b"theirs", None):
        with pytest.raises(ModelFileRefused):
            mirage_engine.load(path, key=key)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileRefused, match="damaged"):
        mirage_engine.load(path, key=b"ours")
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(ModelFileRefused, match="no model"):
        mirage_engine.load(path)


def test_training_is_told_and_stops_early() -> None:
    """Steps and epochs are told; training ends when held-out rows get no likelier, and the best weights are kept."""
    events: list[Event] = []
    steps = AutoregressiveSettings(width=32, inner_width=16, epochs=500, patience=3, learning_rate=0.03)
    fitted = mirage_engine.fit(people(300), steps, listener=events.append)
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert len([event for event in events if isinstance(event, Step)]) == len(epochs) * 9
    assert len(epochs) < 500
    losses = [event.held_out_loss for event in epochs if event.held_out_loss is not None]
    assert fitted.record.best_epoch in (0, 1 + int(np.argmin(losses)))
    assert epochs[-1].seconds_left == 0
    assert epochs[-1].rows_per_second > 0
    assert [row["held_out_loss"] for row in fitted.record.history] == losses


class Interrupting:
    """Calls the work off after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, event: Event) -> None:
        self.left -= isinstance(event, Step)
        if self.left == 0:
            raise Cancelled


@pytest.mark.parametrize("steps", [1, 24, 31])
def test_a_resumed_fit_equals_an_uninterrupted_one(steps: int, tmp_path: Path) -> None:
    """Called off in the middle of an epoch and resumed, a fit gives the same weights, bit for bit."""
    table, checkpoint = people(400), tmp_path / "people.checkpoint"
    whole = mirage_engine.fit(table, BRIEF, seed=4)
    with pytest.raises(Cancelled):
        mirage_engine.fit(table, BRIEF, seed=4, listener=Interrupting(steps), checkpoint=checkpoint)
    assert checkpoint.exists()
    resumed = mirage_engine.fit(table, BRIEF, seed=4, checkpoint=checkpoint)
    assert weights_of(resumed) == weights_of(whole)
    assert resumed.record == whole.record
    assert not checkpoint.exists()


class Drawing:
    """Draws rows after every epoch; keeps those of the best so far."""

    def __init__(self) -> None:
        self.best: pa.Table | None = None
        self.drawn = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Epoch):
            rows = event.draw(BLOCK_ROWS + 10, 9)
            self.drawn += 1
            if event.best or self.best is None:
                self.best = rows
            assert rows.equals(self.best), "what would be kept is the best so far"


@pytest.mark.parametrize("threads", [1, 2])
def test_drawing_while_training_changes_nothing(threads: int, tmp_path: Path) -> None:
    """Rows drawn after each epoch are those of the model as it would be then; the fit is the same, bit for bit."""
    table, drawing = people(400), Drawing()
    torch.set_num_threads(threads)
    try:
        whole = mirage_engine.fit(table, BRIEF, seed=4)
        watched = mirage_engine.fit(table, BRIEF, seed=4, listener=drawing, checkpoint=tmp_path / "people.checkpoint")
        assert watched.sample_table(BLOCK_ROWS + 10, seed=9).equals(drawing.best)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)
    assert drawing.drawn == BRIEF.epochs
    assert weights_of(watched) == weights_of(whole)
    assert watched.record == whole.record


def test_a_checkpoint_of_other_work_is_refused(tmp_path: Path) -> None:
    """A checkpoint is gone on with only for the same table, settings and seed; it is never overwritten by others."""
    checkpoint = tmp_path / "people.checkpoint"
    with pytest.raises(Cancelled):
        mirage_engine.fit(people(200), BRIEF, listener=Interrupting(3), checkpoint=checkpoint)
    with pytest.raises(ModelFileRefused, match="data_hash"):
        mirage_engine.fit(people(200, seed=1), BRIEF, checkpoint=checkpoint)
    with pytest.raises(ModelFileRefused, match="seed"):
        mirage_engine.fit(people(200), BRIEF, seed=1, checkpoint=checkpoint)


def test_sampling_is_told_and_can_be_called_off(model: AutoregressiveModel) -> None:
    """Each batch is told, and nothing more is drawn once the listener says stop."""
    told: list[Event] = []
    batches = list(model.sample(5000, listener=told.append))
    assert [event.rows for event in told if isinstance(event, Sampled)] == list(
        np.cumsum([batch.num_rows for batch in batches])
    )

    def stop(event: Event) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        list(model.sample(10**12, listener=stop))


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"city": "Rome"}, lambda row: row["city"] == "Rome"),
        ({"age": 33, "member": False}, lambda row: row["age"] == 33 and not row["member"]),
        ({"age": Range(30, 40)}, lambda row: 30 <= row["age"] <= 40),
        ({"income": None}, lambda row: row["income"] is None),
        ({"income": 700.55}, lambda row: row["income"] == 700.55),
        ({"weight": Range(70.123, 70.9), "age": Range(high=60)}, lambda row: 70.123 <= row["weight"] <= 70.9),
        ({"city": ["Paris", "Lyon"]}, lambda row: row["city"] in {"Paris", "Lyon"}),
    ],
)
def test_conditions_hold_exactly(model: AutoregressiveModel, conditions: dict[str, object], holds: object) -> None:
    """All rows meet the conditions, and the other columns follow from them."""
    made = model.sample_table(400, seed=2, conditions=conditions)
    assert callable(holds)
    assert all(holds(row) for row in made.to_pylist())
    if conditions == {"city": "Rome"}:
        assert pc.mean(pc.greater_equal(made["age"], 50)).as_py() > 0.85  # of all rows it is half


def test_every_condition_that_cannot_be_met_is_named(model: AutoregressiveModel) -> None:
    """Unknown columns, values that no row of the source had, and ranges beyond it are refused all at once."""
    wrong = {
        "nope": 1,
        "city": "Atlantis",
        "age": Range(200, 300),
        "member": Range(0, 1),
        "weight": "heavy",
        "since": 5.5,
    }
    with pytest.raises(mirage_engine.ConditionsRefused) as refused:
        model.sample(10, conditions=wrong)
    assert set(refused.value.problems) == set(wrong)
