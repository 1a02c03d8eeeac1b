"""How fast large tables are taken in and profiled, and in how much memory, beside pandas; and several at once."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.large_table import write_csv
from benchmarks.measuring import Bench, PeakMemory, Stopwatch, bench, process_of, told

RUNS = int(os.environ.get("BENCH_UPLOAD_RUNS", "3"))
ROWS = int(os.environ.get("BENCH_UPLOAD_ROWS", "5_000_000"))
SERVICE = "services.dataset"
ROWS_AT_ONCE = 400_000
AT_ONCE = (1, 2, 4)
UPLOADS = 4

_PANDAS = """
import json, sys, time
import pandas
began = time.perf_counter()
pandas.read_csv(sys.argv[1]).describe(include="all")
seconds = time.perf_counter() - began
[peak] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps([seconds, int(peak.split()[1]) * 1024]))
"""


def run() -> Iterator[str]:
    """Upload through the gateway until the profile is there, beside pandas.read_csv and describe(include="all")."""
    with tempfile.TemporaryDirectory() as directory, bench() as made:
        path = Path(directory) / "table.csv"
        write_csv(path, ROWS)
        yield f"CSV of {ROWS:,} rows and 14 columns, {path.stat().st_size / 1e6:.0f} MB"
        yield from _beside_pandas(made, path)
        write_csv(path, ROWS_AT_ONCE)
        yield f"CSV of {ROWS_AT_ONCE:,} rows, {path.stat().st_size / 1e6:.0f} MB, {UPLOADS} times"
        yield from _at_once(made, path)


def _beside_pandas(made: Bench, path: Path) -> Iterator[str]:
    ours: list[float] = []
    reference: list[float] = []
    our_peaks: list[int] = []
    their_peaks: list[int] = []
    service = process_of(SERVICE)
    for _ in range(RUNS):
        with PeakMemory(service) as memory, Stopwatch() as watch:
            dataset = made.client.datasets.upload(path)
        ours.append(watch.seconds)
        our_peaks.append(memory.bytes)
        dataset.delete()
        answer = subprocess.run([sys.executable, "-c", _PANDAS, str(path)], check=True, stdout=subprocess.PIPE)
        seconds, peak = json.loads(answer.stdout)
        reference.append(seconds)
        their_peaks.append(peak)
    ratios = [mine / theirs for mine, theirs in zip(ours, reference, strict=True)]
    yield told("Mirage: upload, store, read, profile", ours)
    yield told("pandas: read_csv + describe, in memory", reference)
    yield f"ratio, run by run                            median {statistics.median(ratios):.2f}"
    yield (
        f"peak memory: dataset service with its children {max(our_peaks) / 1e6:.0f} MB, "
        f"pandas {max(their_peaks) / 1e6:.0f} MB"
    )


def _at_once(made: Bench, path: Path) -> Iterator[str]:
    size = path.stat().st_size * UPLOADS / 1e6
    for number in AT_ONCE:
        with ThreadPoolExecutor(number) as threads, Stopwatch() as watch:
            uploads = [threads.submit(made.client.datasets.upload, path) for _ in range(UPLOADS)]
            datasets = [upload.result() for upload in uploads]
        for dataset in datasets:
            dataset.delete()
        rows = ROWS_AT_ONCE * UPLOADS / watch.seconds
        yield f"{number} at once {size / watch.seconds:6.1f} MB/s, {rows:9,.0f} rows/s"
