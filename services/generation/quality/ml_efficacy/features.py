"""Tables as what gradient boosting learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.generation.quality.parts import Floats
from services.generation.quality.tables import Codes, Kind, Numbers, Table

# What scikit-learn's gradient boosting takes of a category is 255; the last stands for all the others.
MOST_CATEGORIES = 254
# Beyond it a float has no neighbours to split between.
_HUGE = 1e300


@dataclass(frozen=True)
class Features:
    """What each table's rows are known by: matrices of shape (rows, columns), NaN where a value is missing.

    `categorical` says which columns hold codes, shape (columns,).
    """

    tables: tuple[Floats, ...]
    categorical: npt.NDArray[np.bool_]


def features(reference: Table, tables: Sequence[Table], target: str | None = None) -> Features:
    """The features of tables without the target; categories rarer in `reference` than the 254 commonest are one."""
    kept = [index for index, column in enumerate(reference.columns) if column.name != target]
    matrices = [np.empty((len(table), len(kept))) for table in tables]
    for place, index in enumerate(kept):
        is_category = reference.columns[index].kind == Kind.CATEGORY
        codes = _recoding(reference, index) if is_category else None
        for matrix, table in zip(matrices, tables, strict=True):
            values = table.values[index]
            matrix[:, place] = np.clip(values, -_HUGE, _HUGE) if codes is None else _recoded(values, codes)
    categorical = np.array([reference.columns[index].kind == Kind.CATEGORY for index in kept], dtype=np.bool_)
    return Features(tuple(matrices), categorical)


def _recoding(reference: Table, index: int) -> Floats:
    """The new code of each category: 0 for the commonest, and so on."""
    values = reference.values[index]
    seen = np.bincount(values[values >= 0].astype(np.int64), minlength=len(reference.columns[index].labels))
    new = np.full(len(seen), float(MOST_CATEGORIES))
    commonest = np.argsort(-seen, kind="stable")[:MOST_CATEGORIES]
    new[commonest] = np.arange(len(commonest))
    return new


def _recoded(values: Numbers | Codes, codes: Floats) -> Floats:
    return np.append(codes, np.nan)[values.astype(np.int64)]
