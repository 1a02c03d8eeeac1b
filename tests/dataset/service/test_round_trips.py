"""Any table that Mirage writes comes back identical when it is uploaded again."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from servicekit import tabular
from tests.dataset.files.tables import tables
from tests.dataset.service.platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("table_format", ["csv", "jsonl", "parquet"])
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables())
async def test_round_trip(platform: Platform, table_format: str, table: pa.Table) -> None:
    """Values, types, names, order and gaps survive upload and export, and so does every byte of a text file."""
    user = platform.user()
    content = b"".join(tabular.stream_batches(table.schema, table.to_batches(), table_format))
    dataset = await user.upload(content)
    exported = (await user.export(dataset.dataset_id, "parquet"))[0]
    found = pq.read_table(io.BytesIO(exported))
    assert found.replace_schema_metadata(None).cast(table.schema).equals(table)
    assert found.schema.types == table.schema.types
    if table_format != "parquet":
        assert (await user.export(dataset.dataset_id, table_format))[0] == content
