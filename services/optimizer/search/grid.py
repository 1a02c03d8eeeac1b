"""Grid search."""

from math import prod

from sklearn.model_selection import ParameterGrid

from services.optimizer.search.domains import Choices, Domain, IntegerRange, Value
from services.optimizer.search.faults import Fault, InvalidSearch
from services.optimizer.search.recorded import RecordedSearch
from services.optimizer.search.settings import SearchSettings
from services.optimizer.search.space import Point, Space
from services.optimizer.search.trials import Suggestion

LEAST_LEVELS = 2


def grid_levels(space: Space, limit: int) -> dict[str, list[Value]]:
    """The values of each parameter that a grid of at most `limit` points is made of.

    Choices are taken as they are. A range is cut into levels at even distances on its scale, both ends among them:
    every range into two at first, then the range with the fewest levels into one more (the first by name among equals)
    as long as the grid stays within the limit. Raises InvalidSearch, which says how large the smallest grid is, if even
    that has too many points.
    """
    ranges = [domain for domain in space.domains if not isinstance(domain, Choices)]
    counts = {domain.name: LEAST_LEVELS for domain in ranges}
    if (smallest := _size(space, counts)) > limit:
        sizes = " × ".join(str(len(_levels(domain, counts))) for domain in space.domains)
        message = (
            f"The smallest grid of this space has {smallest:,} points ({sizes}); {limit:,} trials are allowed. "
            "Give fewer choices or search fewer parameters, allow more trials, or take another method."
        )
        raise InvalidSearch([Fault("search_space", message)])
    growing = [domain for domain in ranges if not _is_complete(domain, counts)]
    while growing:
        least = min(growing, key=lambda domain: counts[domain.name])
        more = {**counts, least.name: counts[least.name] + 1}
        if not _size(space, counts) < _size(space, more) <= limit:
            growing.remove(least)
            continue
        counts = more
        growing = [domain for domain in growing if not _is_complete(domain, counts)]
    return {domain.name: _levels(domain, counts) for domain in space.domains}


class GridSearch(RecordedSearch):
    """Asks a grid's points in order; see grid_levels. It ends with the grid.

    Raises InvalidSearch if the smallest grid has more points than there may be trials.
    """

    def __init__(self, space: Space, settings: SearchSettings) -> None:
        super().__init__(space, settings)
        self._points = _points(space, grid_levels(space, settings.n_trials))

    @property
    def size(self) -> int:
        """How many points the grid has."""
        return len(self._points)

    def _next(self, number: int) -> Suggestion | None:
        return self._suggestion(number, dict(self._points[number - 1])) if number <= len(self._points) else None

    def _may_go_on(self) -> bool:
        return len(self._trials) < len(self._points)


def _points(space: Space, levels: dict[str, list[Value]]) -> list[Point]:
    """The grid's points; batch sizes that were snapped to the same make one."""
    points: dict[str, Point] = {}
    for values in ParameterGrid(levels):
        point = space.snapped(values)
        points.setdefault(space.key(point), point)
    return list(points.values())


def _levels(domain: Domain, counts: dict[str, int]) -> list[Value]:
    return [*domain.levels(counts.get(domain.name, 0))]


def _size(space: Space, counts: dict[str, int]) -> int:
    return prod(len(_levels(domain, counts)) for domain in space.domains)


def _is_complete(domain: Domain, counts: dict[str, int]) -> bool:
    return isinstance(domain, IntegerRange) and counts[domain.name] >= domain.size
