"""The points that a search may ask: what each parameter may be, and what the parameters may be together."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import TypeAlias

from services.optimizer.search.batches import BatchRule
from services.optimizer.search.domains import Choices, Domain, IntegerRange, RealRange, Value
from services.optimizer.search.parameters import BATCH_SIZE, GAN_LEARNING_RATES, LEARNING_RATE, PAC

# Values by parameter, plain Python throughout, in the order of the parameters' names.
Point: TypeAlias = dict[str, Value]


@dataclass(frozen=True)
class Space:
    """A checked search space; `parse_space` makes one.

    `domains` are in the order of their names: an order that a request's JSON object doesn't promise, and on which
    nothing that is asked may depend. `fixed` are the parameters that every trial has beside the searched ones.
    `both_rates` says whether a searched `learning_rate` stands for the two rates of a GAN. `epochs` are the fewest and
    the most that a trial trains: the searched ones, else the fewest that the model takes and those in force; None for a
    model without epochs.
    """

    domains: tuple[Domain, ...]
    batches: BatchRule | None = None
    both_rates: bool = False
    fixed: Mapping[str, object] = field(default_factory=dict)
    epochs: tuple[int, int] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The searched parameters' names, in order."""
        return tuple(domain.name for domain in self.domains)

    @property
    def size(self) -> int | None:
        """How many different points there are, counted after batch sizes were snapped; None if beyond counting."""
        sizes = [domain.size for domain in self.domains if not (self.batches and domain.name in (BATCH_SIZE, PAC))]
        if None in sizes:
            return None
        rest = prod(size for size in sizes if size is not None)
        return rest * sum(len(self.batches.sizes(pac)) for pac in self._pacs()) if self.batches else rest

    def decode(self, units: Sequence[float]) -> Point:
        """The point at a place of the unit cube, one coordinate for each domain; its batch size is snapped."""
        pairs = zip(self.domains, units, strict=True)
        return self.snapped({domain.name: domain.decode(unit) for domain, unit in pairs})

    def encode(self, point: Mapping[str, Value]) -> list[float]:
        """A point's place in the unit cube, one coordinate for each domain."""
        return [domain.encode(point[domain.name]) for domain in self.domains]

    def snapped(self, point: Mapping[str, Value]) -> Point:
        """The point with a batch size that the model takes."""
        snapped = dict(point)
        batch = point.get(BATCH_SIZE)
        if self.batches is not None and isinstance(batch, int):
            pac = point.get(PAC)
            snapped[BATCH_SIZE] = self.batches.snap(batch, pac if isinstance(pac, int) else None)
        return snapped

    def points(self) -> Iterator[Point]:
        """Every point once, in the order of the names, the last name's value changing fastest.

        Raises ValueError if there are more than can be counted.
        """
        if self.size is None:
            raise ValueError("A range of real numbers has more points than can be listed.")
        values = [domain.values() for domain in self.domains if not isinstance(domain, RealRange)]
        seen = set()
        for combination in product(*values):
            point = self.snapped(dict(zip(self.names, combination, strict=True)))
            if (key := self.key(point)) not in seen:
                seen.add(key)
                yield point

    def adopt(self, point: Mapping[str, object]) -> Point:
        """A point as it was recorded, where it may have been through JSON: whole numbers are integers again.

        Raises ValueError if it isn't one of this space's.
        """
        if set(point) != set(self.names):
            raise ValueError(f"A point of this space has {', '.join(self.names)}; this one has {', '.join(point)}.")
        return {domain.name: _adopted(domain, point[domain.name]) for domain in self.domains}

    def without(self, name: str) -> "Space":
        """The space of all parameters but one."""
        kept = tuple(domain for domain in self.domains if domain.name != name)
        return replace(self, domains=kept, batches=self.batches if name != BATCH_SIZE else None)

    def having(self, domain: Domain) -> "Space":
        """The space in which a parameter may be what is said, whether it was searched before or not."""
        others = self.without(domain.name)
        return replace(others, domains=tuple(sorted((*others.domains, domain), key=lambda each: each.name)))

    def domain(self, name: str) -> Domain | None:
        """What a parameter may be, None if it isn't searched."""
        return next((domain for domain in self.domains if domain.name == name), None)

    def model_parameters(self, point: Mapping[str, Value]) -> dict[str, object]:
        """The parameters of the model to train: the fixed ones, and over them the point's.

        A searched `learning_rate` becomes both rates of a GAN.
        """
        values: dict[str, object] = {**point}
        if self.both_rates and LEARNING_RATE in values:
            values |= dict.fromkeys(GAN_LEARNING_RATES, values.pop(LEARNING_RATE))
        return {**self.fixed, **values}

    @staticmethod
    def key(point: Mapping[str, Value]) -> str:
        """What two points have in common exactly if they are the same."""
        return json.dumps(point, sort_keys=True)

    def _pacs(self) -> Sequence[int | None]:
        domain = self.domain(PAC)
        if domain is None or isinstance(domain, RealRange):
            return [None]
        return [int(value) for value in domain.values() if isinstance(value, int)]


def _adopted(domain: Domain, value: object) -> Value:
    if isinstance(domain, Choices):
        if isinstance(value, list | tuple):
            value = [int(item) for item in value]
        for choice in domain.choices:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{domain.name} can't be {value!r} in this space.")  # noqa: TRY004 - a record that isn't ours
    whole = isinstance(domain, IntegerRange) or (isinstance(domain, Choices) and isinstance(domain.choices[0], int))
    return int(value) if whole else float(value)
