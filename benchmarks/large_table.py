"""A CSV file as large as is wanted, made of columns as people have them, the same each time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

ROWS_AT_ONCE = 250_000
_DAY = np.datetime64("2015-01-01")
_WORDS = ("delivered", "late", "left", "with", "the", "neighbour", "called", "again", "paid", "by", "card", "returned")
_CITIES = [f"City {number}" for number in range(300)]
_COUNTRIES = ["FR", "DE", "GB", "ES", "IT", "US"]


def write_csv(path: Path, rows: int) -> None:
    """Writes a table of so many rows and 14 columns, about 100 bytes a row."""
    random = np.random.default_rng(7)
    notes = [" ".join(random.choice(_WORDS, random.integers(1, 3))) for _ in range(2000)]
    options = pyarrow.csv.WriteOptions(quoting_style="none")
    writer: pyarrow.csv.CSVWriter | None = None
    for start in range(0, rows, ROWS_AT_ONCE):
        part = _part(random, notes, start, min(ROWS_AT_ONCE, rows - start))
        if writer is None:
            writer = pyarrow.csv.CSVWriter(path, part.schema, write_options=options)
        writer.write_table(part)
    if writer is not None:
        writer.close()


def _part(random: np.random.Generator, notes: Sequence[str], start: int, rows: int) -> pa.Table:
    seconds = random.integers(0, 10 * 365 * 86_400, rows).astype("timedelta64[s]")
    return pa.table(
        {
            "id": np.arange(start + 1, start + rows + 1),
            "customer": random.integers(10_000, 99_999, rows),
            "age": random.integers(18, 95, rows),
            "income": random.lognormal(10, 1, rows).round(2),
            "height": random.normal(170, 10, rows).round(1),
            "city": _any_of(random, _CITIES, rows),
            "country": _any_of(random, _COUNTRIES, rows),
            "plan": _any_of(random, ["basic", "plus", "pro"], rows, [0.6, 0.3, 0.1]),
            "active": random.random(rows) < 0.7,
            "joined": _DAY + random.integers(0, 3000, rows).astype("timedelta64[D]"),
            "last_seen": _DAY.astype("datetime64[s]") + seconds,
            "score": pa.array(random.random(rows).round(3), mask=random.random(rows) < 0.1),
            "reference": pa.array([f"{number:08x}" for number in random.integers(16**7, 16**8, rows)]),
            "note": _any_of(random, [None, *notes], rows, [0.5, *[0.5 / len(notes)] * len(notes)]),
        }
    )


def _any_of(
    random: np.random.Generator, values: Sequence[Any], rows: int, shares: Sequence[float] | None = None
) -> pa.Array:
    return pa.array(values).take(pa.array(random.choice(len(values), rows, p=shares)))
