"""Whatever file a table came from, what the dataset service makes of it is what the generation service learns from."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.dataset.ingestion.pipeline import ingest
from services.dataset.ingestion.tasks import Task
from services.generation.engines.protocol import Failure
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.prepare import LEAST_ROWS, prepare
from services.generation.tables.restore import Restorer
from tests.dataset.files.accepted import ACCEPTED, Accepted


def _case(file: Accepted) -> Any:
    return pytest.param(file, id=file.name, marks=[pytest.mark.slow] if len(file.types) > 1000 else [])


@pytest.mark.parametrize("file", [_case(file) for file in ACCEPTED])
def test_learnable(tmp_path: Path, file: Accepted) -> None:
    """A model gets finite numbers; its rows have the source's columns, types and values; or it is said why not."""
    source = tmp_path / "source"
    source.write_bytes(file.content())
    outcome = ingest(Task(source=source, directory=tmp_path), lambda *_: None)
    table = pq.read_table(outcome.table)
    columns = [ColumnSpec(name=column.name, type=column.type) for column in outcome.columns]
    held_out = np.zeros(len(table), dtype=np.bool_)
    if len(table) < LEAST_ROWS:
        with pytest.raises(Failure, match=f"at least {LEAST_ROWS} are needed"):
            prepare(table, columns, held_out=held_out, seed=1)
        return
    prepared = prepare(table, columns, held_out=held_out, seed=1)
    for column in prepared.learned.itercolumns():
        assert np.isfinite(column.to_numpy()).all()
    plan = prepared.plan
    made = Restorer(plan, len(table), 1, plan.conditions({})).restore(prepared.learned)
    assert made.schema.names == list(file.values)
    assert made.schema.types == table.schema.types
    for column in plan.columns:
        if column.learned and not pa.types.is_floating(table[column.name].type):
            assert made[column.name].to_pylist() == list(file.values[column.name]), column.name
