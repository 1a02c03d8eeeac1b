"""What the platform adds to a training."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Stopwatch, signed_in, told

RUNS = 3
EPOCHS = 20
TABLE = Path(__file__).resolve().parent.parent / "demo" / "flights.csv"

_BARE = """
import sys
import pandas
from sdv.metadata import Metadata
from sdv.single_table import TVAESynthesizer
table = pandas.read_csv(sys.argv[1])
synthesizer = TVAESynthesizer(Metadata.detect_from_dataframes({"table": table}), epochs=int(sys.argv[2]))
synthesizer.fit({"table": table})
synthesizer.sample(len(table))
"""


def run() -> Iterator[str]:
    """A job from start to its table, beside the bare SDV calls (fit and sample) in a process of their own."""
    jobs, bare = [], []
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
                subprocess.run([sys.executable, "-c", _BARE, str(TABLE), str(EPOCHS)], check=True, capture_output=True)
            bare.append(watch.seconds)
    yield f"TVAE, {EPOCHS} epochs, {rows:,} rows learned and drawn"
    yield told("Mirage: a job, from start to its table", jobs)
    yield told("SDV alone: import, fit, sample", bare)
