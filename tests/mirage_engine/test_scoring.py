"""Log-probabilities and imputation, against what they must come to."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

import mirage_engine
from mirage_engine import AutoregressiveModel, AutoregressiveSettings, TableRefused
from mirage_engine.autoregressive.completion import categorical
from tests.mirage_engine.tables import people

SMALL = pa.table(
    {
        "letter": pa.array(["a", "b", "a", "a", "b", "c"] * 20),
        "digit": pa.array([0, 1, 0, 2, 1, None] * 20),
        "flag": pa.array([True, False, True, True, None, False] * 20),
    }
)


@pytest.fixture(scope="module")
def small() -> AutoregressiveModel:
    """A model of all combinations of a few values, so that they can be gone through."""
    return mirage_engine.fit(
        SMALL, AutoregressiveSettings(width=16, inner_width=16, epochs=6, learning_rate=0.01, weight_decay=0.01)
    )


@pytest.fixture(scope="module")
def peoples() -> AutoregressiveModel:
    """A model of people."""
    settings = AutoregressiveSettings(width=32, inner_width=16, epochs=12, learning_rate=0.02, weight_decay=0.01)
    return mirage_engine.fit(people(1000), settings)


def combinations() -> pa.Table:
    """Every row that the small model can draw."""
    rows = [(x, y, z) for x in ("a", "b", "c") for y in (0, 1, 2, None) for z in (True, False, None)]
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(SMALL.column_names)}).cast(
        SMALL.schema
    )


def test_probabilities_sum_to_one(small: AutoregressiveModel) -> None:
    """Over all rows that there can be, and over all values of some columns given the others."""
    everything = combinations()
    assert np.exp(small.log_probability(everything)).sum() == pytest.approx(1, abs=0.02)
    letters = everything.filter(pc.and_kleene(pc.equal(everything["digit"], 1), everything["flag"]))
    assert np.exp(small.log_probability(letters, given=["digit", "flag"])).sum() == pytest.approx(1, abs=0.02)
    assert np.exp(small.log_probability(pa.table({"digit": [0, 1, 2]}))).sum() == pytest.approx(5 / 6, abs=0.1)


def test_rows_are_drawn_as_often_as_they_are_probable(small: AutoregressiveModel) -> None:
    """Frequencies of drawn rows agree with the probabilities, within five standard errors."""
    made, rows = small.sample_table(40_000, seed=8), 40_000
    counts = {tuple(row.values()): 0 for row in combinations().to_pylist()}
    for row in made.to_pylist():
        counts[tuple(row.values())] += 1
    expected = np.exp(small.log_probability(combinations()))
    for count, probability in zip(counts.values(), expected, strict=True):
        assert abs(count / rows - probability) <= 5 * math.sqrt(probability / rows) + 0.02 * probability


def test_what_cannot_be_is_impossible(small: AutoregressiveModel) -> None:
    """Values that the source couldn't have held have no probability; what isn't there is told."""
    odd = pa.table({"letter": ["a", "z", "a"], "digit": [0, 0, 9]})
    assert (small.log_probability(odd) == -np.inf).tolist() == [False, True, True]
    with pytest.raises(TableRefused, match="flag"):
        small.log_probability(odd, given=["flag"])
    with pytest.raises(TableRefused, match="none of the model's columns"):
        small.log_probability(pa.table({"x": [1]}))


def test_likelier_rows_score_higher(peoples: AutoregressiveModel) -> None:
    """Real rows are likelier than rows whose columns were shuffled, which have the same margins."""
    table, model = people(1000, seed=1).slice(0, 500), peoples
    random = np.random.default_rng(0)
    shuffled = pa.table({name: table[name].take(random.permutation(len(table))) for name in table.column_names})
    scores, others = (np.maximum(model.log_probability(rows), -50) for rows in (table, shuffled))
    assert scores.mean() > others.mean() + 0.5


def test_gaps_are_filled_and_nothing_else_changes(peoples: AutoregressiveModel) -> None:
    """No cell is missing afterwards, what was there is as it was, and what is filled in goes with the row."""
    table, model = people(1200), peoples
    random = np.random.default_rng(0)
    holes = random.random(len(table)) < 0.3
    gappy = table.set_column(1, "city", pa.array(table["city"].to_numpy(), mask=holes))
    gappy = gappy.append_column("note", pa.array(["kept"] * len(table)))
    gappy = gappy.set_column(0, "age", pc.if_else(pc.equal(gappy["age"], 40), 400, gappy["age"]))  # nothing it knows
    made = model.impute(gappy, seed=2)
    assert made.column_names == gappy.column_names
    assert made["city"].null_count == made["income"].null_count == 0
    assert made["age"].equals(gappy["age"])
    assert made["note"].equals(gappy["note"])
    assert made["city"].filter(pa.array(~holes)).equals(table["city"].filter(pa.array(~holes)))
    right = np.mean(made["city"].to_numpy()[holes] == table["city"].to_numpy()[holes])
    assert right > 0.8
    assert model.impute(gappy, seed=2).equals(made)
    assert model.impute(gappy.slice(0, 700), seed=2)["city"].to_pylist() == made["city"].to_pylist()[:700]


def test_categories_are_drawn_by_inversion() -> None:
    """The value is the one whose part of the unit interval holds the number; impossible ones are never met."""
    logits = torch.log(torch.tensor([0.0, 0.25, 0.5, 0.25, 0.0])).repeat(6, 1)
    uniforms = torch.tensor([0.0, 0.2499, 0.2501, 0.7499, 0.7501, 1 - 2**-24])
    assert categorical(logits, uniforms).tolist() == [1, 1, 2, 2, 3, 3]
