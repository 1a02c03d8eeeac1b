"""The UCI table "Adult" (Becker and Kohavi, 1996, CC BY 4.0), which is not in this repository."""

from pathlib import Path

import numpy as np
import pandas as pd

WHERE_TO_GET = (
    "The benchmark needs the table Adult: https://archive.ics.uci.edu/dataset/2/adult has it (adult.data, CC BY 4.0). "
    "Name the file, with or without a first line of column names: make bench-engine ADULT=path/to/adult.data"
)
COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship", "race",
    "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
)  # fmt: skip
TARGET, POSITIVE = "income", ">50K"
TRAINING_SHARE = 0.8


def read(path: Path) -> pd.DataFrame:
    """The whole table; texts without the blanks that the file puts before them. Unknown is "?", a level like others."""
    with path.open() as file:
        has_names = file.readline().startswith("age")
    names = {} if has_names else {"header": None, "names": list(COLUMNS)}
    return pd.read_csv(path, skipinitialspace=True, keep_default_na=False, **names)


def split(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to train on and rows to hold out, other ones for each seed."""
    order = np.random.default_rng(seed).permutation(len(table))
    cut = int(len(table) * TRAINING_SHARE)
    return table.iloc[order[:cut]].reset_index(drop=True), table.iloc[order[cut:]].reset_index(drop=True)
