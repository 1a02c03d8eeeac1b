"""Records how good a model is over a grid of its parameters: `python -m benchmarks.search_surfaces TABLES_FOLDER`.

What the search's benchmark searches. Made once and kept in benchmarks/surfaces, because training over and over for
every method and seed would take hours. For each of three real tables that scikit-learn ships, an SDV model is trained
at every vertex of a grid of parameters, always with the same seed, and draws as many rows as it was trained on; these
go into TABLES_FOLDER, and a table that is there already isn't made again. Then every table is scored. It takes
about ten minutes on one core.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from servicekit.column_types import ColumnType
from services.generation.quality.encode import encode
from services.generation.quality.evaluate import evaluate
from services.generation.tables.columns import ColumnSpec

SURFACES = Path(__file__).parent / "surfaces"
_SEED = 7
_HOLDOUT_FRACTION = 0.1
_TARGET = "target"  # so scikit-learn calls the column that is to be predicted
_MOST_CLASSES = 3  # of a column of numbers that are classes


@dataclass(frozen=True)
class Subject:
    """A table, a model, and the grid of its parameters: the levels of each, evenly spaced on its scale."""

    name: str
    model_type: str
    levels: Mapping[str, Sequence[float]]

    def vertices(self) -> Iterator[dict[str, float]]:
        """Every combination of levels, the last parameter changing fastest."""
        for values in product(*self.levels.values()):
            yield dict(zip(self.levels, values, strict=True))


SUBJECTS = (
    Subject(
        "iris",
        "ctgan",
        {
            "batch_size": (20, 80, 140),
            "epochs": (10, 35, 60),
            "learning_rate": (1e-4, 10**-3.25, 10**-2.5, 10**-1.75, 1e-1),
        },
    ),
    Subject(
        "wine",
        "ctgan",
        {
            "batch_size": (40, 100, 160),
            "epochs": (10, 35, 60),
            "learning_rate": (1e-4, 10**-3.25, 10**-2.5, 10**-1.75, 1e-1),
        },
    ),
    Subject(
        "diabetes",
        "tvae",
        {
            "batch_size": (50, 210, 370),
            "epochs": (10, 35, 60),
            "l2scale": (1e-6, 1e-4, 1e-2),
            "loss_factor": (0.5, 8.0),
        },
    ),
)


def load(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table's training and holdout rows, the same each time."""
    from sklearn import datasets

    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    shuffled = frame.sample(frac=1, random_state=_SEED).reset_index(drop=True)
    held = round(len(frame) * _HOLDOUT_FRACTION)
    return shuffled[held:].reset_index(drop=True), shuffled[:held].reset_index(drop=True)


def train(model_type: str, parameters: Mapping[str, float], rows: pd.DataFrame) -> pd.DataFrame:
    """As many rows as it is trained on, drawn from a model with these parameters."""
    import torch
    from sdv.metadata import Metadata
    from sdv.single_table import CTGANSynthesizer, TVAESynthesizer

    torch.set_num_threads(1)
    random.seed(_SEED)
    np.random.seed(_SEED)
    torch.manual_seed(_SEED)
    given: dict[str, Any] = {**parameters, "epochs": int(parameters["epochs"])}
    given["batch_size"] = int(parameters["batch_size"])
    if model_type == "ctgan":
        rate = given.pop("learning_rate")
        given |= {"generator_lr": rate, "discriminator_lr": rate}
    make = CTGANSynthesizer if model_type == "ctgan" else TVAESynthesizer
    metadata = Metadata.detect_from_dataframes({"table": rows})
    model = make(metadata, enable_gpu=False, **given)
    model.fit({"table": rows})
    return model.sample(num_rows=len(rows))["table"]


def score(real: pd.DataFrame, held: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """The platform's quality score, which is what a study seeks unless it is told otherwise; see docs/quality.md."""
    training, holdout, made = (pa.Table.from_pandas(frame, preserve_index=False) for frame in (real, held, synthetic))
    specs = [ColumnSpec(name=name, type=_type(real[name])) for name in real]
    report = evaluate(encode(training, holdout, made, specs, target=_TARGET, seed=_SEED))
    if report.quality_score is None:
        raise ValueError("None of the parts could be measured.")
    return report.quality_score.value


def _type(column: pd.Series) -> ColumnType:
    if column.nunique() <= _MOST_CLASSES:
        return ColumnType.CATEGORICAL
    return ColumnType.INTEGER if column.dtype.kind == "i" else ColumnType.FLOAT


def _table_at(folder: Path, subject: Subject, vertex: Mapping[str, float], rows: pd.DataFrame) -> pd.DataFrame:
    name = "_".join(f"{value:.4g}" for value in vertex.values())
    path = folder / f"{subject.name}_{subject.model_type}_{name}.parquet"
    if not path.exists():
        train(subject.model_type, vertex, rows).to_parquet(path)
    return pd.read_parquet(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_surfaces", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the synthetic tables are, or are to be")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    SURFACES.mkdir(exist_ok=True)
    for subject in SUBJECTS:
        began = time.perf_counter()
        rows, held = load(subject.name)
        tables = (_table_at(folder, subject, vertex, rows) for vertex in subject.vertices())
        scores = [round(score(rows, held, table), 5) for table in tables]
        surface = {
            "table": subject.name,
            "rows": len(rows),
            "model_type": subject.model_type,
            "levels": {name: list(levels) for name, levels in subject.levels.items()},
            "scores": scores,
        }
        (SURFACES / f"{subject.name}.json").write_text(json.dumps(surface, indent=1) + "\n")
        print(f"{subject.name}: {len(scores)} scores from {min(scores):.3f} to {max(scores):.3f}, ", end="")
        print(f"{time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
