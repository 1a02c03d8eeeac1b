"""Random search (Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, 2012)."""

from services.optimizer.search.recorded import RecordedSearch
from services.optimizer.search.sequences import RandomPoints
from services.optimizer.search.settings import SearchSettings
from services.optimizer.search.space import Space
from services.optimizer.search.trials import Suggestion


class RandomSearch(RecordedSearch):
    """Asks random points, none of them twice; in a space of fewer points than trials it ends when all were asked."""

    def __init__(self, space: Space, settings: SearchSettings) -> None:
        super().__init__(space, settings)
        self._points = RandomPoints(space, settings.seed)

    def _next(self, number: int) -> Suggestion | None:
        point = self._points.at(number - 1)
        return None if point is None else self._suggestion(number, point)

    def _may_go_on(self) -> bool:
        return self._points.at(len(self._trials)) is not None
