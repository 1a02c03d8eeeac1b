"""Nearest records against looking at every pair, one by one."""

import numpy as np
import pytest

from services.generation.quality.parts import never
from services.generation.quality.privacy import nearest as module
from services.generation.quality.privacy.copies import row_keys
from services.generation.quality.privacy.nearest import nearest
from services.generation.quality.privacy.neighbours import closer_to_training
from services.generation.quality.privacy.space import Space
from services.generation.quality.tables import Column, Kind, Numbers, Table
from tests.generation.quality.people import people


def plain_distance(real: Table, one: Table, row: int, other: Table, place: int) -> float:
    """Gower's distance of two rows, as it is written down."""
    apart = []
    for index, column in enumerate(real.columns):
        mine, theirs = one.values[index][row], other.values[index][place]
        if column.kind == Kind.CATEGORY:
            apart.append(float(mine != theirs))
        elif np.isnan(mine) or np.isnan(theirs):
            apart.append(float(np.isnan(mine) != np.isnan(theirs)))
        else:
            known = real.values[index].astype(np.float64)
            known = known[~np.isnan(known)]
            apart.append(abs(_rank(known, mine) - _rank(known, theirs)))
    return float(np.mean(apart))


def _rank(known: Numbers, value: float) -> float:
    return float((np.sum(known < value) + np.sum(known <= value)) / (2 * len(known)))


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_nearest_is_the_nearest(missing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """First, second and place are those of all pairs, across the bounds of blocks and with values missing."""
    monkeypatch.setattr(module, "_QUERIES", 7)
    monkeypatch.setattr(module, "_REFERENCES", 11)
    real, asked = people(45, seed=1, missing=missing), people(20, seed=2, missing=missing)
    space = Space(real)

    found = nearest(space.points(asked), space.points(real), never)

    pairs = np.array([[plain_distance(real, asked, a, real, b) for b in range(45)] for a in range(20)])
    ordered = np.sort(pairs, axis=1)
    assert found.first == pytest.approx(ordered[:, 0], abs=1e-6)
    assert found.second == pytest.approx(ordered[:, 1], abs=1e-6)
    assert pairs[np.arange(20), found.index] == pytest.approx(ordered[:, 0], abs=1e-6)


def test_nearest_of_hundreds_of_categories() -> None:
    """More columns that differ than a byte counts are counted."""
    columns = tuple(Column(f"c{number}", Kind.CATEGORY, ("a", "b")) for number in range(600))
    one = Table(columns, tuple(np.array([0], dtype=np.int32) for _ in columns))
    other = Table(columns, tuple(np.array([number >= 50], dtype=np.int32) for number in range(600)))
    space = Space(one)
    assert nearest(space.points(other), space.points(one), never).first == pytest.approx([550 / 600])


def test_share_closer_is_the_plain_one() -> None:
    """The share of rows closer to training, ties split, is the one counted pair by pair."""
    training, holdout, synthetic = (people(30, seed=seed).take(np.arange(30)) for seed in (1, 2, 3))
    synthetic = Table(
        synthetic.columns,
        tuple(np.concatenate([a, b[:5]]) for a, b in zip(synthetic.values, training.values, strict=True)),
    )
    space = Space(training)
    points = [space.points(table) for table in (synthetic, training, holdout)]

    found = closer_to_training(points[0], points[1], points[2], 0, never)

    wins = 0.0
    for row in range(len(synthetic)):
        to_training, to_holdout = (
            min(plain_distance(training, synthetic, row, table, place) for place in range(30))
            for table in (training, holdout)
        )
        tied = to_training == pytest.approx(to_holdout, abs=1e-6)
        wins += 0.5 if tied else float(to_training < to_holdout)
    assert found.metric.figure.value == pytest.approx(wins / len(synthetic))


def test_row_keys_tell_rows_apart() -> None:
    """Rows have the same key if, and only if, they are equal in every column, missing values among them."""
    one, other = people(300, seed=1, missing=0.5), people(300, seed=2, missing=0.5)
    few = Table(one.columns[3:5], one.values[3:5]), Table(one.columns[3:5], other.values[3:5])
    for tables in ((one, other), few):
        keys = np.concatenate(row_keys(tables))
        rows = [tuple(str(values[row]) for values in table.values) for table in tables for row in range(len(table))]
        assert len(set(zip(keys.tolist(), rows, strict=True))) == len(set(rows)) == len(set(keys.tolist()))


def test_row_keys_of_many_columns() -> None:
    """Keys of more combinations than fit into a number still tell rows apart."""
    columns = tuple(Column(f"n{number}", Kind.NUMBER) for number in range(40))
    draws = np.random.default_rng(0)
    table = Table(columns, tuple(draws.random(200) for _ in columns))
    changed = Table(columns, (*table.values[:-1], np.where(np.arange(200) < 50, table.values[-1], 0.0)))
    keys, changed_keys = row_keys([table, changed])
    assert len(np.unique(keys)) == 200
    assert (keys == changed_keys).sum() == 50
