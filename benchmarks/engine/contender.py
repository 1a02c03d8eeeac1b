"""`python contender.py NAME SEED TRAIN.parquet MADE.parquet`: fits one model, draws as many rows, prints its times.

Each run is a process of its own, so that no library's threads, caches or memory are in another's figures. It imports
nothing of Mirage but the engine, and that only where it is measured: other models may live in an environment of
their own.
"""

import json
import random
import resource
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

SAMPLED_ROWS = 100_000
"""Rows drawn to tell the speed, after a first call that warms up."""

Sample = Callable[[int], pd.DataFrame]


def autoregressive(table: pd.DataFrame, seed: int) -> Sample:
    """Mirage's autoregressive model as it comes."""
    import pyarrow as pa

    import mirage_engine

    model = mirage_engine.fit(pa.Table.from_pandas(table, preserve_index=False), seed=seed)
    return lambda rows: model.sample_table(rows, seed=seed).to_pandas()


def gaussian_copula(table: pd.DataFrame, seed: int) -> Sample:
    """Mirage's Gaussian copula as it comes."""
    import pyarrow as pa

    import mirage_engine

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    model = mirage_engine.fit(arrow, mirage_engine.GaussianCopulaSettings(), seed=seed)
    return lambda rows: model.sample_table(rows, seed=seed).to_pandas()


def sdv(name: str, **settings: Any) -> Callable[[pd.DataFrame, int], Sample]:
    """One of SDV's models."""

    def fit(table: pd.DataFrame, seed: int) -> Sample:
        import torch
        from sdv import single_table
        from sdv.metadata import Metadata

        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        metadata = Metadata.detect_from_dataframes({"table": table})
        model = getattr(single_table, name)(metadata, **settings)
        model.fit({"table": table})
        return lambda rows: _only(model.sample(rows))

    return fit


def tabular_argn(table: pd.DataFrame, seed: int) -> Sample:
    """mostlyai-engine's TabularARGN as it comes."""
    engine: Any = import_module("mostlyai.engine")  # not among the project's own packages

    engine.set_random_state(seed)
    model = engine.TabularARGN()
    model.fit(X=table)
    return lambda rows: model.sample(n_samples=rows)


CONTENDERS: dict[str, Callable[[pd.DataFrame, int], Sample]] = {
    "autoregressive": autoregressive,
    "gaussian-copula": gaussian_copula,
    "sdv-gaussian-copula": sdv("GaussianCopulaSynthesizer"),
    "sdv-tvae-300": sdv("TVAESynthesizer", epochs=300),
    "sdv-ctgan-100": sdv("CTGANSynthesizer", epochs=100),
    "sdv-ctgan-300": sdv("CTGANSynthesizer", epochs=300),
    "tabular-argn": tabular_argn,
}


def main() -> None:
    """Fits, draws, and prints one line of JSON."""
    name, seed, source, made = sys.argv[1:]
    warnings.simplefilter("ignore")
    table = pd.read_parquet(source)
    CONTENDERS[name](table.head(200), int(seed))  # imports and first calls are nobody's training time
    began = time.perf_counter()
    sample = CONTENDERS[name](table, int(seed))
    fitted = time.perf_counter()
    sample(len(table)).to_parquet(made)
    drawing = time.perf_counter()
    sample(SAMPLED_ROWS)
    drawn = time.perf_counter()
    figures = {
        "fit_seconds": fitted - began,
        "rows_per_second": SAMPLED_ROWS / (drawn - drawing),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


def _only(rows: Any) -> pd.DataFrame:
    return next(iter(rows.values())) if isinstance(rows, dict) else rows


if __name__ == "__main__":
    main()
