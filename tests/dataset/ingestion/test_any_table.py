"""Any table that Mirage writes is read back as it was."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from servicekit import tabular
from services.dataset.ingestion.pipeline import ingest
from services.dataset.ingestion.tasks import Task
from tests.dataset.files.tables import tables


@pytest.mark.parametrize("table_format", ["csv", "jsonl", "parquet"])
@settings(max_examples=15, deadline=None)
@given(table=tables())
def test_any_table(table_format: str, table: pa.Table) -> None:
    """Values, types, names, order and gaps of any table survive every format of text, and Parquet."""
    content = b"".join(tabular.stream_batches(table.schema, table.to_batches(), table_format))
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        source.write_bytes(content)
        found = pq.read_table(ingest(Task(source=source, directory=Path(name)), lambda *_: None).table)
    assert found.schema.names == table.schema.names
    assert found.schema.types == table.schema.types
    assert found.to_pydict() == table.to_pydict()
