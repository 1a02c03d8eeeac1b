"""The whole quality report of a table on one core, time and peak memory, beside SDMetrics' QualityReport of the same.

Each run has a process of its own, which reads the tables from Parquet files; imports aren't in the time, but in the
memory. SDMetrics' report holds distributions and pairs of columns; Mirage's also ceilings, intervals, triples, models
trained, privacy and the pictures' data.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import told

ROWS, MANY_ROWS = 30_000, 1_000_000
_RUNS = 3
_HOLDOUT = 0.1
_MIB = 1024 * 1024
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def run() -> Iterator[str]:
    """The whole quality report on one core: time and peak memory."""
    for rows, runs, judges in ((ROWS, _RUNS, ("mirage", "sdmetrics")), (MANY_ROWS, 1, ("mirage",))):
        with tempfile.TemporaryDirectory() as directory:
            _write(Path(directory), rows)
            for judge in judges:
                found = [_judged(judge, Path(directory)) for _ in range(runs)]
                memory = max(each["bytes"] for each in found)
                yield told(f"{judge}, {rows:,} rows × 15 columns", [each["seconds"] for each in found]) + (
                    f"   processor {statistics.median(each['processor_seconds'] for each in found):.1f} s"
                    f"   {memory / _MIB:.0f} MiB   score {found[0]['score']:.3f}"
                )


def _judged(judge: str, directory: Path) -> dict[str, Any]:
    """Seconds, peak memory and score of one run on one core."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality", judge, str(directory)],
        check=True,
        capture_output=True,
        env=os.environ | _ONE_THREAD,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _write(directory: Path, rows: int) -> None:
    held_out = round(rows * _HOLDOUT)
    pq.write_table(_table(rows - held_out, 1, 0.0), directory / "training.parquet")
    pq.write_table(_table(held_out, 2, 0.0), directory / "holdout.parquet")
    pq.write_table(_table(rows, 3, 0.2), directory / "synthetic.parquet")


def _table(rows: int, seed: int, distortion: float) -> pa.Table:
    """Eight numbers, two dates and five categories that hang together by two hidden numbers."""
    draws = np.random.default_rng(seed)
    hidden = draws.normal(size=(2, rows)) + distortion

    def mixed(first: float, second: float) -> Any:
        return first * hidden[0] + second * hidden[1] + draws.normal(size=rows)

    def category(values: Any, count: int) -> pa.Array:
        labels = pa.array([f"value {number}" for number in range(count)])
        return labels.take(pa.array(np.clip((values / 8 + 0.5) * count, 0, count - 1).astype(np.int64)))

    days = np.datetime64("2020-01-01", "D")
    return pa.table(
        {
            "age": np.clip(mixed(1, 0) * 12 + 45, 18, 95).astype(np.int64),
            "income": np.exp(mixed(1, 1) / 2 + 10).round(2),
            "height": (mixed(0, 1) * 7 + 170).round(1),
            "score": pa.array(mixed(0.5, 0.5), mask=draws.random(rows) < 0.1),
            "visits": draws.poisson(np.exp(hidden[0] / 3)),
            "debt": np.where(draws.random(rows) < 0.6, 0.0, np.exp(mixed(0, 2))),
            "noise": draws.normal(size=rows),
            "share": draws.beta(2, 5, rows),
            "joined": days + np.clip(mixed(2, 0) * 200 + 500, 0, 2000).astype("timedelta64[D]"),
            "seen": (days + np.clip(mixed(2, 1) * 200 + 900, 0, 3000).astype("timedelta64[D]")).astype("datetime64[s]"),
            "active": mixed(1, 1) > 0,
            "plan": category(mixed(1, 0), 3),
            "country": pa.array(category(mixed(0, 1), 12), mask=draws.random(rows) < 0.05),
            "city": category(mixed(1, 1), 300),
            "risk": np.where(mixed(2, 2) > 1.5, "high", "low"),
        }
    )


def _mirage(training: pa.Table, holdout: pa.Table, synthetic: pa.Table) -> Callable[[], float]:
    from servicekit.column_types import ColumnRole, ColumnType
    from services.generation.quality.encode import encode
    from services.generation.quality.evaluate import evaluate
    from services.generation.tables.columns import ColumnSpec

    def taken_for(type_: pa.DataType) -> ColumnType:
        if pa.types.is_temporal(type_):
            return ColumnType.DATETIME
        return ColumnType.FLOAT if pa.types.is_floating(type_) else ColumnType.INTEGER

    specs = [
        ColumnSpec(
            name=field.name,
            type=ColumnType.CATEGORICAL if field.type in {pa.string(), pa.bool_()} else taken_for(field.type),
            role=ColumnRole.TARGET if field.name == "risk" else ColumnRole.FEATURE,
        )
        for field in training.schema
    ]

    def judge() -> float:
        score = evaluate(encode(training, holdout, synthetic, specs)).quality_score
        return score.value if score else float("nan")

    return judge


def _sdmetrics(training: pa.Table, _holdout: pa.Table, synthetic: pa.Table) -> Callable[[], float]:
    from sdmetrics.reports.single_table import QualityReport

    def taken_for(type_: pa.DataType) -> str:
        if pa.types.is_temporal(type_):
            return "datetime"
        return "categorical" if type_ in {pa.string(), pa.bool_()} else "numerical"

    columns = {field.name: {"sdtype": taken_for(field.type)} for field in training.schema}
    real, made = (
        table.to_pandas().astype({"joined": "datetime64[ns]", "seen": "datetime64[ns]"})
        for table in (training, synthetic)
    )

    def judge() -> float:
        report = QualityReport()
        report.generate(real, made, {"columns": columns}, verbose=False)
        return float(report.get_score())

    return judge


def _main(judge: str, directory: Path) -> None:
    """One run, in a process of its own, told as JSON."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tables = [pq.read_table(directory / f"{name}.parquet") for name in ("training", "holdout", "synthetic")]
    work = {"mirage": _mirage, "sdmetrics": _sdmetrics}[judge](*tables)
    began, busy = time.perf_counter(), time.process_time()
    score = work()
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "processor_seconds": busy, "bytes": peak, "score": score}))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
