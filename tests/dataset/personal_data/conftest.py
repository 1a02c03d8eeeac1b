"""Scanning columns, without a service around it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.dataset.personal_data.kinds import Finding
from services.dataset.personal_data.scan import scan

Columns = Sequence[tuple[str, Sequence[str | float | None]]]
Scan = Callable[[Columns], dict[str, Finding]]


@pytest.fixture
def scanned(tmp_path: Path) -> Scan:
    """Scans columns of one table, given by name; returns what was found, by column."""

    def run(columns: Columns) -> dict[str, Finding]:
        path = tmp_path / "table.parquet"
        names, arrays = [name for name, _ in columns], [pa.array(values) for _, values in columns]
        pq.write_table(pa.table(arrays, names=names), path, row_group_size=128)
        return {finding.column: finding for finding in scan(path)}

    return run
