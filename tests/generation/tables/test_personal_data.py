"""Columns of personal data among others: never in the learned table, and new ones in every restored row."""

import numpy as np
import pyarrow as pa
import pytest

from servicekit.column_types import ColumnRole, ColumnType
from servicekit.personal_data import PersonalKind
from services.generation.engines.protocol import Failure
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.plan import Plan
from services.generation.tables.prepare import Prepared, prepare
from services.generation.tables.restore import Restorer
from tests.generation.fakes.tables import KEY, KINDS, in_common, people

ROWS = 120


def spec(name: str, *, type_: ColumnType = ColumnType.TEXT, role: ColumnRole = ColumnRole.FEATURE) -> ColumnSpec:
    """A column that is named after its kind of personal data."""
    return ColumnSpec(name=name, type=type_, role=role, personal_data=KINDS[name], personal_data_locale="fr_FR")


def prepared(table: pa.Table, specs: list[ColumnSpec]) -> Prepared:
    """A table prepared with nothing held out."""
    return prepare(table, specs, held_out=np.zeros(len(table), dtype=np.bool_), seed=1, key=KEY)


def restored(plan: Plan, learned: pa.Table, rows: int) -> pa.Table:
    """Learned rows as rows of the source, in two batches."""
    restorer = Restorer(plan, rows, 3, plan.conditions({}), KEY)
    half = rows // 2
    return pa.concat_tables([restorer.restore(learned.slice(0, half)), restorer.restore(learned.slice(half))])


def test_personal_columns_are_not_learned() -> None:
    """The model sees of them only where they are missing; they come back new, in place, typed, and as often there."""
    draws = np.random.default_rng(1)
    source = people("fr_FR", ROWS)
    gaps = draws.random(ROWS) < 0.3
    emails = pa.array(source["email"].to_pylist(), mask=gaps)
    table = pa.table(
        {
            "email": emails,
            "age": pa.array(draws.integers(18, 90, ROWS)),
            "city": source["city"].dictionary_encode(),
            "full_name": source["full_name"].cast(pa.large_string()),
        }
    )
    specs = [spec("email", type_=ColumnType.IDENTIFIER), spec("city"), spec("full_name")]
    ready = prepared(table, [*specs, ColumnSpec(name="age", type=ColumnType.INTEGER)])
    assert ready.learned.column_names == ["c1", "m0"], "age, and whether the e-mail is missing"
    again = Plan.model_validate_json(ready.plan.model_dump_json())
    back = restored(again, ready.learned, ROWS)
    assert back.schema.equals(table.schema)
    assert back["email"].is_null().to_pylist() == gaps.tolist()
    for name in ("email", "city", "full_name"):
        made = back[name].drop_null().to_pylist()
        assert not in_common(PersonalKind(name), source[name], made)
    present = back["email"].drop_null().to_pylist()
    assert len(set(present)) == len(present)


def test_nothing_but_personal_data() -> None:
    """A table of nothing else needs no model, and one of few values is invented too."""
    table = pa.table({**people("fr_FR", ROWS), "iban": pa.array(["FR7630006000011234567890189"] * ROWS)})
    ready = prepared(table, [spec(name) for name in KINDS])
    assert ready.learned.num_columns == 0
    assert ready.rows == ROWS
    back = restored(ready.plan, pa.table({"row": range(50)}), 50)
    assert back.schema.equals(table.schema)
    assert len(set(back["iban"].to_pylist())) == 1
    assert back["iban"][0] != table["iban"][0]


def test_a_key_stays_unique() -> None:
    """A primary key that is personal data has another value in every row, whatever the source has."""
    table = pa.table({"last_name": pa.array(["Curie", "Hugo", "Zola"] * 10), "x": pa.array(np.arange(30.0))})
    specs = [spec("last_name", role=ColumnRole.PRIMARY_KEY), ColumnSpec(name="x", type=ColumnType.FLOAT)]
    ready = prepared(table, specs)
    back = restored(ready.plan, pa.concat_tables([ready.learned] * 50), 1500)
    assert len(set(back["last_name"].to_pylist())) == 1500


def test_conditions_are_refused() -> None:
    """Nobody can ask a model for somebody's data."""
    table = pa.table({"email": people("fr_FR", 30)["email"], "x": pa.array(np.arange(30.0))})
    ready = prepared(table, [spec("email"), ColumnSpec(name="x", type=ColumnType.FLOAT)])
    for value in (table["email"][0].as_py(), None):
        with pytest.raises(Failure, match=r"'email'.*personal data") as caught:
            ready.plan.conditions({"email": value})
        assert caught.value.reason == "INVALID_CONDITIONS"
