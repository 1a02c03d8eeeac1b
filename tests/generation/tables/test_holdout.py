"""Which rows are held out."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from servicekit.column_types import ColumnRole, ColumnType
from servicekit.personal_data import PersonalKind
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.holdout import held_out, holdout_row_count, training_row_count

ROWS = 1000
DRAWS = np.random.default_rng(3)
RARE = ["rare" if row % 50 == 0 else "usual" for row in range(ROWS)]  # 20 of 1,000
TABLE = pa.table(
    {
        "id": list(range(ROWS)),
        "city": [None if row % 10 == 0 else f"city {row % 30}" for row in range(ROWS)],
        "rare": RARE,
        "income": [None if row % 4 == 0 else float(value) for row, value in enumerate(DRAWS.lognormal(10, 1, ROWS))],
        "joined": [dt.date(2000, 1, 1) + dt.timedelta(days=int(day)) for day in DRAWS.integers(0, 5000, ROWS)],
    }
)


def spec(name: str, type_: str, role: str = "feature", personal: PersonalKind | None = None) -> ColumnSpec:
    """A column."""
    return ColumnSpec(name=name, type=ColumnType(type_), role=ColumnRole(role), personal_data=personal)


COLUMNS = (spec("id", "identifier", "primary_key"), spec("city", "categorical"), spec("income", "float"))


@pytest.mark.parametrize(
    ("rows", "fraction", "count"), [(199, 0.5, 0), (200, 0.1, 20), (1000, 0.0, 0), (999, 0.5, 500)]
)
def test_counts(rows: int, fraction: float, count: int) -> None:
    """A share of the rows is held out, none of a small table."""
    assert holdout_row_count(rows, fraction) == count == held_out(TABLE[:rows], COLUMNS, fraction, 1).sum()
    assert training_row_count(rows, fraction) == rows - count


def test_seed_decides() -> None:
    """The same seed holds out the same rows, another seed others."""
    assert np.array_equal(held_out(TABLE, COLUMNS, 0.2, 1), held_out(TABLE, COLUMNS, 0.2, 1))
    assert not np.array_equal(held_out(TABLE, COLUMNS, 0.2, 1), held_out(TABLE, COLUMNS, 0.2, 2))


@pytest.mark.parametrize("seed", range(20))
def test_every_class_of_the_target_gives_its_share(seed: int) -> None:
    """Of twenty rows of a rare class two are held out at 10 %, whatever the seed."""
    held = held_out(TABLE, (*COLUMNS, spec("rare", "categorical", "target")), 0.1, seed)
    assert held.sum() == 100
    assert sum(rare == "rare" for rare, kept in zip(RARE, held, strict=True) if kept) == 2


@pytest.mark.parametrize(("name", "type_"), [("income", "float"), ("joined", "date")])
def test_every_tenth_of_a_target_gives_its_share(name: str, type_: str) -> None:
    """Of each tenth of a number's or date's range a tenth is held out, and of the rows without a value too."""
    held = held_out(TABLE, (*COLUMNS[:2], spec(name, type_, "target")), 0.1, 5)
    column = TABLE[name].combine_chunks()
    absent = column.is_null().to_numpy(zero_copy_only=False)
    assert abs(int((held & absent).sum()) - absent.sum() / 10) <= 1
    present = np.asarray(column.drop_null().to_numpy(zero_copy_only=False))
    tenths = np.searchsorted(np.sort(present), present) * 10 // len(present)
    shares = np.bincount(tenths[held[~absent]], minlength=10)
    assert np.all(np.abs(shares - len(present) / 100) <= 1)


def test_without_a_target_the_fewest_classes_decide() -> None:
    """Without a target the categorical column with the fewest values is the one whose classes give their shares."""
    columns = (*COLUMNS, spec("rare", "categorical"))
    for seed in range(10):
        held = held_out(TABLE, columns, 0.1, seed)
        assert sum(rare == "rare" for rare, kept in zip(RARE, held, strict=True) if kept) == 2


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"rare": pa.nulls(300)}),
        pa.table({"rare": [[1]] * 300}),
        pa.table({"rare": pa.array(["a", "b", None] * 100).dictionary_encode()}),
        pa.table({"other": list(range(300))}),
    ],
)
@pytest.mark.parametrize("type_", ["categorical", "float", "text"])
def test_targets_that_say_nothing(table: pa.Table, type_: str) -> None:
    """Targets without values, with nested ones, free texts, or that aren't there cost nobody the holdout."""
    assert held_out(table, (spec("rare", type_, "target"),), 0.1, 1).sum() == 30


def test_personal_data_decides_nothing() -> None:
    """A column of personal data doesn't decide who is held out."""
    named = (spec("rare", "categorical", "target", PersonalKind.FULL_NAME), spec("income", "float"))
    assert np.array_equal(held_out(TABLE, named, 0.1, 1), held_out(TABLE, (spec("income", "float"),), 0.1, 1))
