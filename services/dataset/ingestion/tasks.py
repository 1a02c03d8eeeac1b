"""What the ingestion is asked to do and what it answers; plain data that crosses the process boundary as JSON."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from servicekit.column_types import ColumnType
from services.dataset.columns import Column
from services.dataset.personal_data.kinds import Finding

Report = Callable[[str, float, int], None]
"""Takes a stage (`reading`, `profiling`, `storing`), the share done (0 to 1) and the rows read so far."""


class Limits(BaseModel):
    """How much a file may ask for. Sizes in bytes."""

    model_config = ConfigDict(frozen=True)

    formats: frozenset[str] = frozenset({"csv", "json", "jsonl", "xlsx", "parquet"})
    max_columns: int = 2_000
    max_unpacked_bytes: int = 5_000_000_000
    max_unpack_ratio: int = 200
    memory_bytes: int = 2 * 1024**3
    """What the process that reads may have; more is seen, and ends it."""
    database_memory_bytes: int = 268_435_456
    """What DuckDB may take; beyond it works on disk."""


class Task(BaseModel):
    """One file to read in. `directory` is private to the task and exists; the table is written there.

    `required` are types set by hand that must hold; `wished` are types that are taken where they hold.
    """

    model_config = ConfigDict(frozen=True)

    source: Path
    directory: Path
    limits: Limits = Limits()
    required: dict[str, ColumnType] = {}
    wished: dict[str, ColumnType] = {}


class Outcome(BaseModel):
    """What was made of a file: a Parquet table of `columns`, and its profile as JSON."""

    model_config = ConfigDict(frozen=True)

    source_format: str
    table: Path
    row_count: int
    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    profile: dict[str, Any]
    personal_data: tuple[Finding, ...] = ()
