"""Makes the search that was asked for, new or from its record."""

from collections.abc import Callable, Iterable

from services.optimizer.search.faults import InvalidSearch
from services.optimizer.search.protocol import Search
from services.optimizer.search.recorded import RecordedSearch
from services.optimizer.search.settings import SearchSettings
from services.optimizer.search.space import Space
from services.optimizer.search.trials import Trial


def create(space: Space, settings: SearchSettings) -> Search:
    """A new search.

    Raises InvalidSearch with everything that is wrong with the settings, by themselves or with this space.
    """
    return _made(space, settings)


def rebuild(space: Space, settings: SearchSettings, trials: Iterable[Trial]) -> Search:
    """The search whose trials these are, in any order; it goes on as the one that asked them would have.

    Trials without an outcome are asked again, under their numbers, before anything new. Raises InvalidSearch as
    `create` does, and ValueError if a trial's point isn't one of this space's.
    """
    search = _made(space, settings)
    search.adopt(trials)
    return search


def _made(space: Space, settings: SearchSettings) -> RecordedSearch:
    if faults := list(settings.faults()):
        raise InvalidSearch(faults)
    return _method(settings.method)(space, settings)


def _method(name: str) -> Callable[[Space, SearchSettings], RecordedSearch]:
    # Their libraries take seconds and 100 MB: only who searches pays for them, not who checks a request.
    match name:
        case "grid":
            from services.optimizer.search.grid import GridSearch

            return GridSearch
        case "random":
            from services.optimizer.search.random_search import RandomSearch

            return RandomSearch
        case "bayesian":
            from services.optimizer.search.bayesian import BayesianSearch

            return BayesianSearch
        case "hyperband":
            from services.optimizer.search.hyperband import HyperbandSearch

            return HyperbandSearch
    raise LookupError(f"There is no method {name}.")
