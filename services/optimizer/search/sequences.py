"""Random points, each only once, the same for the same seed."""

from itertools import count

import numpy as np

from services.optimizer.search.space import Point, Space

# Spaces of at most so many points are shuffled whole; in larger ones drawing the same point again is rare enough.
_SHUFFLED = 10_000


class RandomPoints:
    """An endless shuffle of a space: point `index` (from 0) depends on the space and the seed only.

    Numbers are drawn evenly on their range's scale, choices with equal probability. A space of few points is shuffled,
    so that none is missed and none comes twice.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._random = np.random.default_rng(seed)
        self._drawn: list[Point] = []
        self._keys: set[str] = set()
        if space.size is not None and space.size <= _SHUFFLED:
            points = list(space.points())
            self._drawn = [points[place] for place in self._random.permutation(len(points))]
            self._complete = True
        else:
            self._complete = False

    @property
    def size(self) -> int | None:
        """How many different points there are; None if beyond counting."""
        return self._space.size

    def at(self, index: int) -> Point | None:
        """Point number `index`; None if the space has fewer."""
        while not self._complete and len(self._drawn) <= index:
            self._draw()
        return dict(self._drawn[index]) if index < len(self._drawn) else None

    def unseen(self, seen: set[str]) -> Point | None:
        """The first point that isn't among the seen ones (their keys); None if all are."""
        for index in count():
            point = self.at(index)
            if point is None or self._space.key(point) not in seen:
                return point
        return None

    def _draw(self) -> None:
        point = self._space.decode([float(unit) for unit in self._random.random(len(self._space.domains))])
        key = self._space.key(point)
        if key not in self._keys:
            self._keys.add(key)
            self._drawn.append(point)
