"""Distributions by buckets that grow with the numbers in them, and so add up whatever they are of.

Of number n is the bucket of what is above g^(n-1) and at most g^n, with g = 2^(1/8). Told is the number whose distance
to both ends is the same share of them, 2 g^n / (g + 1), so that what is told is within (g - 1) / (g + 1) = 4.4 per cent
of what it stands for (C. Masson, J. E. Rim, H. K. Lee, "DDSketch", PVLDB 12(12), 2019, section 2.1).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

GROWTH = 2 ** (1 / 8)
RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)

NOTHING = -32768
"""The bucket of what is next to nothing."""


@dataclass
class Histogram:
    """Numbers, by bucket; their sum is exact."""

    total: Decimal = Decimal(0)
    counts: dict[int, int] = field(default_factory=dict)

    def add(self, bucket: int, count: int, total: Decimal | int = 0) -> None:
        """Adds numbers of a bucket, with their sum."""
        self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total += total

    @property
    def count(self) -> int:
        """How many numbers."""
        return sum(self.counts.values())

    @property
    def mean(self) -> float | None:
        """Their mean; None where there is none."""
        return float(self.total / self.count) if self.counts else None

    def quantile(self, share: float) -> float | None:
        """The number that this share of them doesn't exceed (the nearest rank); None where there is none."""
        return quantile(self.counts, share)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The number that this share of numbers, counted by bucket, doesn't exceed; None where there is none."""
    rank = max(1, math.ceil(share * sum(counts.values()) - 1e-9))
    for bucket, count in sorted(counts.items()):
        rank -= count
        if rank <= 0:
            return told(bucket)
    return None


def told(bucket: int) -> float:
    """The number that stands for a bucket's."""
    return 0.0 if bucket == NOTHING else float(2 * GROWTH**bucket / (GROWTH + 1))
