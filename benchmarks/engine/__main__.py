"""`python -m benchmarks.engine ADULT`: every model on the same splits of Adult, medians over the seeds."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from benchmarks.engine import adult
from benchmarks.engine.contender import CONTENDERS
from benchmarks.engine.measures import prediction, scores

OURS = "autoregressive"
SHOWN = {
    "overall": ".3f", "auc": ".3f", "f1": ".3f", "detect": ".3f", "nearest": ".3f", "nearest_low": ".3f",
    "nearest_high": ".3f", "copies": ".5f", "copies_held_out": ".5f", "fit_seconds": ".1f", "rows_per_second": ",.0f",
    "peak_mb": ",.0f",
}  # fmt: skip
Figures = dict[str, float]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("table", type=Path, help="the table Adult")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="these models alone")
    parser.add_argument("--seeds", type=int, default=3, help="how many splits and seeds (default: 3)")
    parser.add_argument("--argn-python", help="a Python that has mostlyai-engine, pandas and pyarrow")
    parser.add_argument("--out", type=Path, help="where to write the figures of every run, as JSON")
    given = parser.parse_args()
    if not given.table.is_file():
        parser.error(adult.WHERE_TO_GET)
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {given.seeds} seeds")
    results: dict[str, list[Figures]] = {}
    print(_line(["model", *SHOWN]), flush=True)
    print(_line(["---"] * (len(SHOWN) + 1)))
    for name in given.only:
        results[name] = list(_runs(name, given.table, given.seeds, given.argn_python))
        if results[name]:
            print(
                _line([name, *(format(_median(results[name], key), shape) for key, shape in SHOWN.items())]), flush=True
            )
    for line in _ratios(results):
        print(line)
    auc, f1 = prediction(*adult.split(adult.read(given.table), 0))
    print(f"Trained on the real rows: AUC {auc:.3f}, F1 {f1:.3f}")
    if given.out:
        given.out.write_text(json.dumps(results, indent=2))


def _runs(name: str, path: Path, seeds: int, argn_python: str | None) -> Iterator[Figures]:
    """Figures of a model for each seed; none, with a word on why, if its library isn't there."""
    table = adult.read(path)
    python = argn_python if name == "tabular-argn" and argn_python else sys.executable
    for seed in range(seeds):
        train, held_out = adult.split(table, seed)
        with tempfile.TemporaryDirectory() as folder:
            source, made = Path(folder) / "train.parquet", Path(folder) / "made.parquet"
            train.to_parquet(source)
            contender = str(Path(__file__).with_name("contender.py"))
            ran = subprocess.run(
                [python, contender, name, str(seed), str(source), str(made)],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode:
                print(f"{name} did not run: {(ran.stderr.strip() or 'no word').splitlines()[-1]}", flush=True)
                return
            figures: Figures = json.loads(ran.stdout.splitlines()[-1])
            yield figures | asdict(scores(train, held_out, pd.read_parquet(made)))


def _median(runs: Sequence[Figures], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def _ratios(results: dict[str, list[Figures]]) -> Iterator[str]:
    ours = results.get(OURS)
    for name, runs in results.items():
        if ours and runs and name != OURS:
            time = _median(ours, "fit_seconds") / _median(runs, "fit_seconds")
            speed = _median(ours, "rows_per_second") / _median(runs, "rows_per_second")
            yield f"{OURS} fits in {time:.2f} of the time of {name} and draws {speed:.1f} times as many rows a second"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
