"""How strongly columns hang together."""

from typing import cast

import numpy as np
import numpy.typing as npt

from services.generation.quality.bins import Bins
from services.generation.quality.parts import Floats
from services.generation.quality.tables import Codes, Kind, Numbers, Table


def cramers_v(counts: npt.NDArray[np.int64] | Floats) -> float | None:
    """Cramér's V of a contingency table, 0 to 1, corrected for its bias; None if a side has but one value.

    Bergsma 2013, "A bias-correction for Cramér's V and Tschuprow's T", J. Korean Stat. Soc. 42(3), section 2: without
    the correction, tables with many cells look associated where nothing is.
    """
    table = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(np.float64)
    rows, columns = table.shape
    total = table.sum()
    if min(rows, columns) < 2 or total < 2:
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    phi = ((table - expected) ** 2 / expected).sum() / total
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (total - 1))
    sides = [side - (side - 1) ** 2 / (total - 1) for side in (rows, columns)]
    least = min(sides) - 1
    return float(min(1.0, np.sqrt(corrected / least))) if least > 0 else None


def pearson(first: Numbers, second: Numbers) -> float | None:
    """Pearson's correlation where both are present; None if either is constant there."""
    both = ~(np.isnan(first) | np.isnan(second))
    if both.sum() < 2:
        return None
    x, y = centred(first[both]), centred(second[both])
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / scale, -1.0, 1.0)) if scale > 0 else None


def centred(values: Numbers) -> Numbers:
    """Values less their mean, divided by the largest of them, so that no square overflows."""
    largest = np.abs(values).max(initial=0.0)
    scaled = values / largest if largest > 0 else values
    constant = len(scaled) and scaled.min() == scaled.max()
    return np.zeros_like(scaled) if constant else scaled - scaled.mean()


def matrix(table: Table, bins: tuple[Bins, ...]) -> list[list[float | None]]:
    """Associations of all columns: Pearson's correlation of numbers and dates, else Cramér's V of their bins."""
    size = len(table.columns)
    codes = [each.codes(values) for each, values in zip(bins, table.values, strict=True)]
    found: list[list[float | None]] = [[1.0 if i == j else None for j in range(size)] for i in range(size)]
    for i in range(size):
        for j in range(i):
            if Kind.CATEGORY in {table.columns[i].kind, table.columns[j].kind}:
                value = cramers_v(contingency(codes[i], codes[j], bins[i].cells, bins[j].cells))
            else:
                value = pearson(cast(Numbers, table.values[i]), cast(Numbers, table.values[j]))
            found[i][j] = found[j][i] = value
    return found


def contingency(first: Codes, second: Codes, rows: int, columns: int) -> npt.NDArray[np.int64]:
    """How many rows have each pair of codes, shape (rows, columns)."""
    counts = np.bincount(first.astype(np.int64) * columns + second, minlength=rows * columns)
    return counts.reshape(rows, columns)
