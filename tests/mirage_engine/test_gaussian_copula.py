"""The Gaussian copula from a table to rows: what comes out, and that it comes out the same."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings

import mirage_engine
from mirage_engine import Cancelled, CodecSettings, GaussianCopulaModel, GaussianCopulaSettings, Range
from mirage_engine.gaussian_copula.sampling import BLOCK_ROWS
from mirage_engine.progress import Event, Prepared, Sampled
from tests.mirage_engine.tables import people, tables

COPULA = GaussianCopulaSettings()


@pytest.fixture(scope="module")
def model() -> GaussianCopulaModel:
    """A model of people."""
    return mirage_engine.fit(people(3000), COPULA, seed=1)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(most_rows=30))
def test_any_table_can_be_learnt(table: pa.Table) -> None:
    """Rows of whatever table is learnt, of one row on, have its schema, and none a number beyond the source's."""
    made = mirage_engine.fit(table, COPULA, CodecSettings(rare_rows=2)).sample_table(10)
    assert made.num_rows == 10
    assert made.schema.equals(table.schema, check_metadata=True)
    made.validate(full=True)
    for own, new in zip(table.columns, made.columns, strict=True):
        if pa.types.is_integer(own.type) and new.null_count < 10:
            least, most = pc.min_max(own).as_py().values()
            assert all(least <= value <= most for value in new.drop_null().to_pylist())
        if own.null_count == 0:
            assert new.null_count == 0


def test_columns_keep_their_distribution(model: GaussianCopulaModel) -> None:
    """Each column by itself is as it was: shares of categories and gaps, quantiles of numbers, ends and decimals."""
    source, made = people(3000), model.sample_table(8_000, seed=3)
    assert made.schema == source.schema
    for name in ("city", "member"):
        own, new = (
            {row["values"]: row["counts"] / len(table) for row in pc.value_counts(table[name]).to_pylist()}
            for table in (source, made)
        )
        assert new == pytest.approx(own, abs=0.025)  # four standard errors
    assert made["income"].null_count / 8_000 == pytest.approx(source["income"].null_count / 3_000, abs=0.025)
    for name in ("age", "income", "weight"):
        own_values, new_values = (table[name].drop_null().to_numpy() for table in (source, made))
        for share in (0.1, 0.5, 0.9):
            rank = np.mean(own_values <= np.quantile(new_values, share))
            assert rank == pytest.approx(share, abs=0.04)
        assert own_values.min() <= new_values.min() <= new_values.max() <= own_values.max()
    cents = made["income"].drop_null().to_numpy() * 100
    assert np.abs(cents - np.rint(cents)).max() < 1e-6


def test_columns_keep_their_dependence(model: GaussianCopulaModel) -> None:
    """What depends on what in the source does in the rows: numbers, categories that have no order, and gaps."""
    source, made = people(3000), model.sample_table(8_000, seed=3)
    ages, expected = (
        {row["city"]: row["age_mean"] for row in table.group_by("city").aggregate([("age", "mean")]).to_pylist()}
        for table in (made, source)
    )
    assert ages == pytest.approx(expected, abs=3)
    assert pc.mean(pc.equal(pc.greater(made["age"], 50), made["member"])).as_py() > 0.88
    missing = made.filter(pc.is_null(made["income"]))
    assert pc.mean(pc.equal(missing["city"], "Rome")).as_py() > 0.85


def test_categories_keep_what_they_go_with() -> None:
    """Levels of which frequency tells nothing keep the numbers that they go with."""
    random = np.random.default_rng(0)
    kind = random.permutation(np.repeat(np.arange(12), 200))
    height = np.array([5, 1, 9, 3, 11, 0, 7, 2, 10, 4, 8, 6])[kind] + random.normal(0, 0.5, len(kind))
    table = pa.table({"kind": [f"k{code}" for code in kind], "height": height})
    made = mirage_engine.fit(table, COPULA).sample_table(4_000)
    means, expected = (
        {row["kind"]: row["height_mean"] for row in part.group_by("kind").aggregate([("height", "mean")]).to_pylist()}
        for part in (made, table)
    )
    assert means == pytest.approx(expected, abs=0.8)


def test_many_levels_go_with_nothing_by_chance() -> None:
    """Levels of few rows, which differ by chance, aren't ordered until they seem to go with something; others are."""
    random = np.random.default_rng(5)
    kind = random.integers(0, 500, 5_000)
    table = pa.table(
        {
            "kind": [f"k{code}" for code in kind],
            "other": [f"o{code}" for code in random.integers(0, 400, 5_000)],
            "size": kind / 100 + random.normal(size=5_000),
        }
    )
    found = mirage_engine.fit(table, COPULA)._learnt.correlations
    assert abs(found[0, 2]) > 0.75
    assert np.abs(found[1, [0, 2]]).max() < 0.06


def test_equal_seeds_give_equal_rows(model: GaussianCopulaModel) -> None:
    """The same seed gives the same bytes in one go or in shards, on one thread or two, with conditions or without."""
    rows = BLOCK_ROWS + 100
    for conditions in ({}, {"city": "Lyon", "weight": Range(60, 80)}):
        whole = model.sample_table(rows, 5, conditions)
        two_threads = pa.Table.from_batches(model.sample(rows, 5, conditions, threads=2))
        cuts = [0, 700, BLOCK_ROWS + 1, rows]
        shards = [
            pa.Table.from_batches(model.sample(end - start, 5, conditions, first_row=start), model.schema)
            for start, end in pairwise(cuts)
        ]
        assert two_threads.equals(whole)
        assert pa.concat_tables(shards).equals(whole)
        assert not model.sample_table(rows, 6, conditions).equals(whole)


def test_a_model_comes_back_from_its_file(model: GaussianCopulaModel, tmp_path: Path) -> None:
    """A model that was kept draws and scores the same rows; fitted again from the same seed, it is the same file."""
    path, again_path = tmp_path / "people.mirage", tmp_path / "again.mirage"
    model.save(path, key=b"ours")
    loaded = mirage_engine.load(path, key=b"ours")
    assert isinstance(loaded, GaussianCopulaModel)
    assert loaded.record == model.record
    assert loaded.sample_table(500, seed=9).equals(model.sample_table(500, seed=9))
    part = people(20)
    assert np.array_equal(loaded.log_probability(part), model.log_probability(part))
    mirage_engine.fit(people(3000), COPULA, seed=1).save(again_path, key=b"ours")
    assert again_path.read_bytes() == path.read_bytes()
    with pytest.raises(mirage_engine.ModelFileRefused):
        mirage_engine.load(path, key=b"theirs")


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"city": "Rome"}, lambda row: row["city"] == "Rome"),
        ({"age": 33, "member": False}, lambda row: row["age"] == 33 and not row["member"]),
        ({"age": 33, "member": True}, lambda row: row["age"] == 33 and row["member"]),  # never so in the source
        ({"age": Range(30, 40)}, lambda row: 30 <= row["age"] <= 40),
        ({"income": None}, lambda row: row["income"] is None),
        ({"income": 700.55}, lambda row: row["income"] == 700.55),
        ({"weight": Range(70.123, 70.9), "age": Range(high=60)}, lambda row: 70.123 <= row["weight"] <= 70.9),
        ({"weight": Range(70.1, 70.1)}, lambda row: row["weight"] == 70.1),
        ({"city": ["Paris", "Lyon"]}, lambda row: row["city"] in {"Paris", "Lyon"}),
    ],
)
def test_conditions_hold_exactly(model: GaussianCopulaModel, conditions: dict[str, object], holds: object) -> None:
    """All rows meet the conditions, and the other columns follow from them."""
    made = model.sample_table(400, seed=2, conditions=conditions)
    assert callable(holds)
    assert all(holds(row) for row in made.to_pylist())
    if conditions == {"city": "Rome"}:
        assert pc.mean(pc.greater_equal(made["age"], 48)).as_py() > 0.9


def test_columns_that_hardly_vary() -> None:
    """One value only, nothing at all, and what is no finite number are drawn, asked for and scored as others are."""
    numbers = pa.array([1.5, float("nan"), None, float("inf"), 2.5] * 6)
    table = pa.table({"one": [5] * 30, "none": pa.nulls(30, pa.float64()), "kind": ["a", "b", None] * 10, "n": numbers})
    model = mirage_engine.fit(table, COPULA)
    assert model.sample_table(0).equals(table.slice(0, 0))
    asked: list[dict[str, object]] = [
        {"one": 5, "none": None},
        {"kind": ["a", None], "n": float("inf")},
        {"kind": None, "n": None, "one": Range(0, 9)},
    ]
    for conditions in asked:
        for row in model.sample_table(20, conditions=conditions).to_pylist():
            assert (row["one"], row["none"]) == (5, None)
            assert "kind" not in conditions or row["kind"] in {"a", None}
            assert "n" not in conditions or row["n"] == conditions["n"]
    assert model.log_probability(table) == pytest.approx(np.full(30, -np.log(15)), abs=1e-6)


def test_every_condition_that_cannot_be_met_is_named(model: GaussianCopulaModel) -> None:
    """Unknown columns, values that no row of the source had, and ranges beyond it are refused all at once."""
    wrong = {"nope": 1, "city": "Atlantis", "age": Range(200, 300), "member": Range(0, 1), "weight": "heavy"}
    with pytest.raises(mirage_engine.ConditionsRefused) as refused:
        model.sample(10, conditions=wrong)
    assert set(refused.value.problems) == set(wrong)


def test_conditional_rows_are_the_models_own(model: GaussianCopulaModel) -> None:
    """Rows drawn under conditions on several columns are distributed as those that meet them among all rows."""
    conditions = {"age": Range(40, 60), "member": True}
    free = model.sample_table(60_000, seed=4)
    met = free.filter(
        pc.and_(pc.and_(pc.greater_equal(free["age"], 40), pc.less_equal(free["age"], 60)), free["member"])
    )
    made = model.sample_table(met.num_rows, 5, conditions)
    error = 4 / np.sqrt(met.num_rows)
    assert pc.mean(made["age"]).as_py() == pytest.approx(pc.mean(met["age"]).as_py(), abs=6 * error)
    for city in ("Lyon", "Rome"):
        shares = [pc.mean(pc.equal(table["city"], city)).as_py() for table in (made, met)]
        assert shares[0] == pytest.approx(shares[1], abs=error)
    assert made["income"].null_count / len(made) == pytest.approx(met["income"].null_count / len(met), abs=error)


def test_probabilities_are_those_of_the_rows(model: GaussianCopulaModel) -> None:
    """Probabilities of all there can be add up to one, and match how often the model draws each."""
    cities, members = ["Rome", "Paris", "Lyon"] * 2, [True] * 3 + [False] * 3
    combinations = pa.table({"city": cities, "member": members})
    probabilities = np.exp(model.log_probability(combinations))
    assert probabilities.sum() == pytest.approx(1.0, abs=5e-3)
    made = model.sample_table(20_000, seed=8)
    counts = {
        (row["city"], row["member"]): row["weight_count"] / 20_000
        for row in made.group_by(["city", "member"]).aggregate([("weight", "count")]).to_pylist()
    }
    for city, member, probability in zip(cities, members, probabilities, strict=True):
        assert counts.get((city, member), 0.0) == pytest.approx(probability, abs=0.016)  # four standard errors
    conditional = np.exp(model.log_probability(combinations, given=["member"]))
    assert conditional[:3].sum() == pytest.approx(1.0, abs=5e-3)
    impossible = pa.table({"city": ["Atlantis"], "member": [True]})
    assert np.isneginf(model.log_probability(impossible)).all()


def test_rare_categories_are_protected() -> None:
    """A category of few rows is never drawn, or as a label, and can't be asked for."""
    table = pa.table({"name": ["Ann"] * 50 + ["Bob"] * 40 + ["Hapax"] * 2, "size": np.arange(92) % 7})
    merged = mirage_engine.fit(table, COPULA)
    assert set(merged.sample_table(2_000)["name"].to_pylist()) == {"Ann", "Bob"}
    with pytest.raises(mirage_engine.ConditionsRefused):
        merged.sample(1, conditions={"name": "Hapax"})
    redacted = mirage_engine.fit(table, COPULA, CodecSettings(rare_levels="redact"))
    assert set(redacted.sample_table(2_000)["name"].to_pylist()) == {"Ann", "Bob", "(rare)"}


def test_fitting_and_sampling_are_told_and_can_be_called_off(model: GaussianCopulaModel) -> None:
    """Columns, rows and batches are told as they are done; nothing more is done once the listener says stop."""
    told: list[Event] = []
    mirage_engine.fit(people(300), COPULA, listener=told.append)
    assert told == [Prepared("columns", place, 7) for place in range(1, 8)] + [Prepared("rows", 300, 300)]
    batches = list(model.sample(10_000, listener=told.append))
    assert [event.rows for event in told if isinstance(event, Sampled)] == list(
        np.cumsum([batch.num_rows for batch in batches])
    )

    def stop(event: Event) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        mirage_engine.fit(people(300), COPULA, listener=stop)
    with pytest.raises(Cancelled):
        list(model.sample(10**12, listener=stop))


def test_wrong_settings_are_all_named() -> None:
    """Every setting out of its range is told."""
    with pytest.raises(ValueError, match=r"ordering_rows.*least_eigenvalue"):
        GaussianCopulaSettings(ordering_rows=-1, least_eigenvalue=0)
