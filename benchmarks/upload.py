"""How fast a table is taken in and profiled, beside pandas in memory."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measuring import Stopwatch, signed_in, told

RUNS = 3
ROWS = 400_000

_PANDAS = "import sys, pandas; pandas.read_csv(sys.argv[1]).describe(include='all')"


def run() -> Iterator[str]:
    """Upload through the gateway, reading and full profile, beside pandas.read_csv and describe in another process."""
    with tempfile.TemporaryDirectory() as directory, signed_in() as client:
        path = Path(directory) / "table.csv"
        _table().to_csv(path, index=False)
        ours, reference = [], []
        for _ in range(RUNS):
            with Stopwatch() as watch:
                client.datasets.upload(path)
            ours.append(watch.seconds)
            with Stopwatch() as watch:
                subprocess.run([sys.executable, "-c", _PANDAS, str(path)], check=True)
            reference.append(watch.seconds)
        yield f"CSV of {ROWS:,} rows, {path.stat().st_size / 1e6:.0f} MB"
        yield told("Mirage: upload, store, read, profile", ours)
        yield told("pandas: read_csv + describe", reference)


def _table() -> pd.DataFrame:
    """Ten columns of all kinds, the same each time."""
    random = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "age": random.integers(18, 95, ROWS),
            "income": random.lognormal(10, 1, ROWS).round(2),
            "height": random.normal(170, 10, ROWS),
            "city": random.choice([f"city {number}" for number in range(300)], ROWS),
            "plan": random.choice(["basic", "plus", "pro"], ROWS, p=[0.6, 0.3, 0.1]),
            "active": random.random(ROWS) < 0.7,
            "joined": pd.Timestamp("2015-01-01") + pd.to_timedelta(random.integers(0, 3000, ROWS), "D"),
            "score": np.where(random.random(ROWS) < 0.1, np.nan, random.random(ROWS)),
            "note": random.choice(["", "called", "wrote", "visited the shop twice"], ROWS),
        }
    )
