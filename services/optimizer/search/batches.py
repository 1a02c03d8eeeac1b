"""Which batch sizes a model takes: multiples of what `pac` asks for, and never more rows than there are to train on.

A GAN judges `pac` rows at once and halves its batch, so a batch is a multiple of both two and `pac`. A model without
`pac` takes any batch. Where the table is too small for even one such batch, the engine lowers `pac` by itself if it was
not asked for; all that matters then is that the batch is even.
"""

from collections.abc import Collection
from dataclasses import dataclass
from math import lcm

from services.optimizer.search.domains import Choices, IntegerRange


@dataclass(frozen=True)
class BatchRule:
    """How a sampled batch size becomes one that the model takes.

    `packed` says whether the model has `pac` at all, `pac` is the value in force where it isn't searched, and `rows`
    are those to train on, None if unknown.
    """

    domain: IntegerRange | Choices
    packed: bool
    pac: int
    rows: int | None

    def unit(self, pac: int | None) -> int:
        """What a batch must be a multiple of; `pac` is the sampled one, None if it isn't searched."""
        if not self.packed:
            return 1
        unit = lcm(2, self.pac if pac is None else pac)
        return 2 if pac is None and self.rows is not None and unit > self.rows else unit

    def snap(self, batch: int, pac: int | None = None) -> int:
        """The nearest batch size that the model takes, within the searched range where it holds one.

        A choice becomes the nearest multiple whatever the other choices are. Nothing is larger than the table, unless
        the table has fewer rows than any batch may have.
        """
        unit = self.unit(pac)
        lowest, highest = unit, self.rows
        if isinstance(self.domain, IntegerRange):
            lowest = self.domain.low
            highest = self.domain.high if self.rows is None else min(self.domain.high, self.rows)
        first = max(-(-lowest // unit) * unit, unit)
        last = batch + unit if highest is None else highest // unit * unit
        if first > last:  # no multiple lies in the range: take the next one below, which surely fits the table
            return max(last, unit)
        below = batch // unit * unit
        near = below if batch - below <= unit - (batch - below) else below + unit
        return min(max(near, first), last)

    def sizes(self, pac: int | None = None) -> Collection[int]:
        """Every batch size that a sampled one can become, in order."""
        unit = self.unit(pac)
        if isinstance(self.domain, Choices):
            return sorted({self.snap(int(choice), pac) for choice in self.domain.choices if isinstance(choice, int)})
        first, last = self.snap(self.domain.low, pac), self.snap(self.domain.high, pac)
        return range(first, last + 1, unit)
