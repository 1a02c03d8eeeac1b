"""Edges of histograms: n + 1 ascending numbers. A value on an edge counts above it, on the last edge below."""

BINS = 20
_DAY_SECONDS = 86_400.0


def even_edges(minimum: float, maximum: float) -> list[float]:
    """Bins of equal width from the smallest to the largest value; one bin around a single value."""
    if minimum == maximum:
        margin = max(0.5, abs(minimum) * 1e-6)
        return [minimum - margin, maximum + margin]
    # Weighted so that the width itself, which could be larger than any double, is never made.
    edges = [minimum * (1 - step / BINS) + maximum * (step / BINS) for step in range(BINS)]
    edges = sorted({minimum, *edges[1:], maximum})
    return [edge for edge in edges if minimum <= edge <= maximum]


def integer_edges(minimum: int, maximum: int) -> list[float]:
    """Bins of whole numbers, as many numbers in each: a bin for every number if they are few."""
    numbers = maximum - minimum + 1
    width = -(-numbers // BINS)
    bins = -(-numbers // width)
    return [float(minimum + step * width) for step in range(bins + 1)]


def day_edges(first: float, last: float) -> list[float]:
    """Bins of whole days between two midnights, given and returned in seconds since 1970."""
    return [edge * _DAY_SECONDS for edge in integer_edges(round(first / _DAY_SECONDS), round(last / _DAY_SECONDS))]
