"""What the platform adds to a training."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Stopwatch, signed_in, told

RUNS = 3
EPOCHS = 20
TABLE = Path(__file__).resolve().parent.parent / "demo" / "flights.csv"

_BARE = """
import sys, time
import pandas
from sdv.metadata import Metadata
from sdv.single_table import TVAESynthesizer
began = time.perf_counter()
table = pandas.read_csv(sys.argv[1])
synthesizer = TVAESynthesizer(Metadata.detect_from_dataframes({"table": table}), epochs=int(sys.argv[2]))
synthesizer.fit({"table": table})
synthesizer.sample(len(table))
print(time.perf_counter() - began)
"""


def run() -> Iterator[str]:
    """A job from start to its table, beside the bare SDV calls (fit and sample) in a process of their own."""
    jobs: list[float] = []
    bare: list[float] = []
    with_import: list[float] = []
    with signed_in() as client:
        dataset = client.datasets.upload(TABLE)
        rows = int(dataset.row_count)
        for seed in range(RUNS):
            with Stopwatch() as watch:
                client.generate(
                    dataset, "tvae", rows=rows, seed=seed, epochs=EPOCHS, holdout_fraction=0.0, progress=False
                )
            jobs.append(watch.seconds)
            with Stopwatch() as watch:
                command = [sys.executable, "-c", _BARE, str(TABLE), str(EPOCHS)]
                told_by_it = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            with_import.append(watch.seconds)
            bare.append(float(told_by_it.splitlines()[-1]))
    yield f"TVAE, {EPOCHS} epochs, {rows:,} rows learned and drawn"
    yield told("Mirage: a job, from start to its table", jobs)
    yield told("SDV alone: read, fit, sample", bare)
    yield told("SDV alone, with its import and start", with_import)
    yield f"overhead (Mirage less SDV's read, fit, sample): {statistics.median(jobs) - statistics.median(bare):.2f} s"
