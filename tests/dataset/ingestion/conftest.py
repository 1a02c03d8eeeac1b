"""Reading files in, without a service around it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.dataset.ingestion.pipeline import ingest
from services.dataset.ingestion.tasks import Limits, Outcome, Task


class Ingested(NamedTuple):
    """What became of a file."""

    outcome: Outcome
    table: pa.Table

    @property
    def types(self) -> dict[str, str]:
        """The columns' types by name."""
        return {column.name: column.type.value for column in self.outcome.columns}

    def profile(self, name: str) -> dict[str, Any]:
        """A column's profile."""
        return next(column for column in self.outcome.profile["columns"] if column["name"] == name)


Ingest = Callable[..., Ingested]


@pytest.fixture
def read(tmp_path: Path) -> Ingest:
    """Reads bytes, text or a file in."""
    count = 0

    def run(content: bytes | str | Path, limits: Limits | None = None, **options: Any) -> Ingested:
        nonlocal count
        count += 1
        directory = tmp_path / f"work-{count}"
        directory.mkdir()
        if isinstance(content, Path):
            source = content
        else:
            source = tmp_path / f"source-{count}"
            source.write_bytes(content.encode() if isinstance(content, str) else content)
        task = Task(source=source, directory=directory, limits=limits or Limits(), **options)
        outcome = ingest(task, lambda _stage, _progress, _rows: None)
        return Ingested(outcome, pq.read_table(outcome.table))

    return run
