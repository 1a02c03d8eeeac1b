"""The demonstration, run as a newcomer runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from demo.report import comparison_table
from mirage import compare
from tests.e2e.conftest import FLIGHTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twice(tmp_path: Path) -> None:
    """The demonstration makes both tables and says where they lie; a second run finds user and table there."""
    environment = {**os.environ, "MIRAGE_HOME": str(tmp_path / "home"), "MIRAGE_PORT": "0"}
    command = [sys.executable, "-m", "demo", "--epochs", "10", "--rows", "200", "--output", str(tmp_path / "made")]
    for expected in ("Registered demo@example.org", "registered in an earlier run"):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=420, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert expected in done.stdout
        for name in ("tvae.csv", "tvae.parquet", "ctgan.csv", "ctgan.parquet"):
            assert str(tmp_path / "made" / name) in done.stdout
        assert "flights ctgan:  10% Training the model · epoch" in done.stderr
    made = pd.read_parquet(tmp_path / "made" / "ctgan.parquet")
    assert len(made) == 200
    assert list(made.columns) == list(pd.read_csv(FLIGHTS, nrows=1).columns)


def test_comparison_is_readable() -> None:
    """The table that the demonstration prints has every column once, with both models' scores."""
    flights = pd.read_csv(FLIGHTS, nrows=200)
    comparison = compare(flights, flights.sample(100, random_state=1))
    table = comparison_table({"tvae": comparison, "ctgan": comparison})
    assert table.row_count == len(flights.columns) + 1
    assert [str(column.header) for column in table.columns] == ["column", "real", "tvae", "score", "ctgan", "score"]
