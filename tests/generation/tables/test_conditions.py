"""Values that every row is to have: checked, told to the model, and restored exactly."""

import numpy as np
import pyarrow as pa
import pytest
from pydantic import JsonValue

from services.generation.engines.protocol import Failure
from services.generation.tables.prepare import Prepared, prepare
from services.generation.tables.restore import Restorer
from tests.generation.tables.sources import mixed_table


@pytest.fixture(scope="module")
def ready() -> Prepared:
    """A table with every kind of column, prepared."""
    table, specs = mixed_table()
    return prepare(table, specs, held_out=np.zeros(len(table), dtype=np.bool_), seed=1, category_limit=50)


@pytest.mark.parametrize(
    "conditions",
    [
        {"Farbe 色": "藍"},
        {"flag": True, "grade": 70},
        {"age": 30, "money": 12.5},
        {"day": "2021-05-05", "local midnight": "2021-05-05", "second": "2020-01-02T00:00:01"},
        {"utc": "2021-05-05T00:00:00Z", "hour": "07:00:00", "price": "12.34"},
        {"beyond 2^53": None},
        {"age": None, "Farbe 色": None, "mail": None},
        {"constant": "x", "nothing": None},
    ],
    ids=str,
)
def test_conditions_hold(ready: Prepared, conditions: dict[str, JsonValue], request: pytest.FixtureRequest) -> None:
    """Every row has the value that was asked for, of the column's own type."""
    if "beyond 2^53" in conditions:
        with pytest.raises(Failure, match="no value of it is missing"):
            ready.plan.conditions(conditions)
        return
    checked = ready.plan.conditions(conditions)
    assert set(checked.learned) <= set(ready.plan.learned_names())
    rows = Restorer(ready.plan, len(ready.learned), 1, checked).restore(ready.learned)
    assert rows.schema.equals(ready.plan.source_schema)
    for name in conditions:
        assert rows[name].combine_chunks().equals(pa.concat_arrays([checked.values[name]] * len(rows)))


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"colour": "red"}, "there is no such column"),
        ({"Farbe 色": "blau"}, "the source doesn't have this value"),
        ({"Farbe 色": 3}, "a string is needed"),
        ({"flag": "yes"}, "true or false"),
        ({"age": 3.5}, "a whole number"),
        ({"age": True}, "true and false"),
        ({"age": 300}, "outside the source's range"),
        ({"age": 2**40}, "doesn't fit the column's type"),
        ({"money": "much"}, "a number"),
        ({"day": "yesterday"}, "Invalid isoformat"),
        ({"second": "2020-01-02T00:00:01Z"}, "leave the offset out"),
        ({"number": 1}, "can't be fixed"),
        ({"remark": "good"}, "can't be fixed"),
        ({"constant": "y"}, "the source doesn't have this value"),
        ({"age": [1]}, "a whole number"),
    ],
    ids=str,
)
def test_wrong_conditions(ready: Prepared, conditions: dict[str, JsonValue], said: str) -> None:
    """A condition that can't be met is refused with its column and the reason."""
    with pytest.raises(Failure, match=said) as caught:
        ready.plan.conditions(conditions)
    assert caught.value.reason == "INVALID_CONDITIONS"
    assert caught.value.metadata == {"column": next(iter(conditions))}
