"""Bayesian optimisation with a Gaussian process (scikit-optimize)."""

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from threading import Lock

import numpy as np
import numpy.typing as npt
from skopt import Optimizer
from skopt.acquisition import gaussian_ei, gaussian_lcb, gaussian_pi
from skopt.sampler import Lhs
from skopt.space import Categorical, Real
from threadpoolctl import ThreadpoolController

from services.optimizer.search.domains import Choices, Domain
from services.optimizer.search.losses import losses
from services.optimizer.search.recorded import RecordedSearch
from services.optimizer.search.sequences import RandomPoints
from services.optimizer.search.settings import SearchSettings
from services.optimizer.search.space import Point, Space
from services.optimizer.search.trials import Suggestion, Trial

_Place = list[float | int]  # of a point in scikit-optimize's space

_LEAST_INITIAL = 5
_INITIAL_PER_DIMENSION = 2
# Points looked at before the acquisition function is followed uphill from the best of them.
_CANDIDATES = 2_000
_LHS_ITERATIONS = 200


class BayesianSearch(RecordedSearch):
    """Asks where a Gaussian process, fitted to what was told, expects most.

    It begins with a Latin hypercube of max(5, 2 × parameters) points, at most half of the trials. Ranges are taken by
    their place between 0 and 1 on their scale, so are choices of numbers by their order; other choices have a
    coordinate each (one-hot). What is told is standardised before each fit, so that an acquisition function's
    constants (ξ = 0.01, κ = 1.96) mean the same for every metric.

    A trial that runs counts as if it had ended as well as the best one, so that trials asked at the same time spread
    (the constant liar; Ginsbourger, Le Riche and Carraro, Kriging Is Well-Suited to Parallelize Optimization, 2010,
    section 4.2). What a failed trial, a broken cap and several objectives count as: see `losses`.

    A point that was asked before isn't asked again: of up to 2,000 others, the one whose acquisition is best is.
    Every fit starts afresh from the trials by number with a random state of its own, so that nothing depends on what
    this object went through. `gp_hedge` weighs its three functions by how they did at every trial before, so in a
    process that hasn't seen the search it fits as many models as there are trials before its first answer (a sixth of a
    second each).
    """

    def __init__(self, space: Space, settings: SearchSettings) -> None:
        super().__init__(space, settings)
        self._others = RandomPoints(space, settings.seed)
        self._searched = [place for place, domain in enumerate(space.domains) if domain.size != 1]
        self._dimensions = [_dimension(space.domains[place]) for place in self._searched]
        self._initial = self._latin_hypercube()

    def _next(self, number: int) -> Suggestion | None:
        seen = self._seen()
        point: Point | None = None
        if number <= len(self._initial):
            point = self._initial[number - 1]
        elif told := [trial for trial in self._trials.values() if trial.outcome is not None]:
            point = self._expected_best(number, told, seen)
        if point is None or self._space.key(point) in seen:
            point = self._others.unseen(seen)
        return None if point is None else self._suggestion(number, point)

    def _may_go_on(self) -> bool:
        return self._space.size is None or len(self._seen()) < self._space.size

    def _latin_hypercube(self) -> list[Point]:
        wanted = max(_LEAST_INITIAL, _INITIAL_PER_DIMENSION * len(self._searched))
        count = max(min(wanted, self._settings.n_trials // 2), 1)
        if count == 1:
            return []
        cube = Lhs(criterion="maximin", iterations=_LHS_ITERATIONS).generate(
            [(0.0, 1.0)] * len(self._searched), count, random_state=np.random.RandomState(self._settings.seed)
        )
        return [self._space.decode(self._all_units([float(unit) for unit in row])) for row in cube]

    def _expected_best(self, number: int, told: Sequence[Trial], seen: set[str]) -> Point | None:
        running = [trial for trial in self._trials.values() if trial.outcome is None]
        model = self._fitted(number, told, running)
        if model is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a point was asked before; handled here
            point = self._point(model.ask())
        if self._space.key(point) not in seen:
            return point
        return self._best_unseen(model, seen)

    def _fitted(self, number: int, told: Sequence[Trial], running: Sequence[Trial] = ()) -> Optimizer | None:
        """A process fitted to the trials' losses; None if none of them has a score."""
        values = losses(self._settings.goal, told, self._settings.seed, number)
        if values is None:
            return None
        model = Optimizer(
            self._dimensions,
            base_estimator="GP",
            n_initial_points=0,
            acq_func=self._settings.acquisition_function,
            acq_optimizer_kwargs={"n_points": _CANDIDATES},
            random_state=_random_state(self._settings.seed, number),
        )
        if self._settings.acquisition_function == "gp_hedge":
            self._weigh(model, told, running)
        places = [self._place(trial.suggestion.point) for trial in (*told, *running)]
        with _libraries().limit(limits=1):
            model.tell(places, [*values, *[min(values)] * len(running)])
        if self._settings.acquisition_function == "gp_hedge" and not running:
            _HEDGES.keep(self._record(told), _Hedge(model.gains_, model.next_xs_))
        return model

    def _weigh(self, model: Optimizer, told: Sequence[Trial], running: Sequence[Trial]) -> None:
        """Gives a process that isn't fitted yet what its three functions have gained so far (GP-Hedge)."""
        if running:
            if hedge := self._hedge(told):
                model.gains_ = hedge.gains.copy()
        elif hedge := self._hedge(told[:-1]):
            model.gains_, model.next_xs_ = hedge.gains.copy(), hedge.candidates

    def _hedge(self, told: Sequence[Trial]) -> "_Hedge | None":
        """Where GP-Hedge stood after these trials; None while it hadn't begun."""
        if len(told) < max(len(self._initial), 1):
            return None
        record = self._record(told)
        if (known := _HEDGES.get(record)) is not None:
            return known
        self._fitted(told[-1].number + 1, told)
        return _HEDGES.get(record)

    def _record(self, told: Sequence[Trial]) -> str:
        """What GP-Hedge's standing depends on, as a digest."""
        ends = [(trial.number, self._space.key(trial.suggestion.point), trial.outcome) for trial in told]
        return sha256(repr((self._space.domains, self._settings, ends)).encode()).hexdigest()

    def _best_unseen(self, model: Optimizer, seen: set[str]) -> Point | None:
        """Of points that weren't asked, the one that the acquisition function likes best (EI for `gp_hedge`)."""
        candidates: dict[str, Point] = {}
        for index in range(_CANDIDATES):
            point = self._others.at(index)
            if point is None:
                break
            if (key := self._space.key(point)) not in seen:
                candidates[key] = point
        if not candidates:
            return None
        points = list(candidates.values())
        places = model.space.transform([self._place(point) for point in points])
        match self._settings.acquisition_function:
            case "LCB":
                liking = -gaussian_lcb(places, model.models[-1])
            case "PI":
                liking = gaussian_pi(places, model.models[-1], y_opt=min(model.yi))
            case _:
                liking = gaussian_ei(places, model.models[-1], y_opt=min(model.yi))
        return points[int(np.argmax(liking))]

    def _place(self, point: Point) -> _Place:
        """A point in scikit-optimize's space."""
        place: _Place = []
        units = self._space.encode(point)
        for at in self._searched:
            domain = self._space.domains[at]
            if isinstance(domain, Choices) and not domain.ordered:
                place.append(domain.index(point[domain.name]))
            else:
                place.append(units[at])
        return place

    def _point(self, place: Sequence[float | int]) -> Point:
        """The point at a place of scikit-optimize's space."""
        units = []
        for at, coordinate in zip(self._searched, place, strict=True):
            domain = self._space.domains[at]
            if isinstance(domain, Choices) and not domain.ordered:
                units.append((int(coordinate) + 0.5) / domain.size)
            else:
                units.append(float(coordinate))
        return self._space.decode(self._all_units(units))

    def _all_units(self, searched: Sequence[float]) -> list[float]:
        """Coordinates of all parameters, where those that have one value only are anywhere."""
        units = [0.5] * len(self._space.domains)
        for at, unit in zip(self._searched, searched, strict=True):
            units[at] = unit
        return units


@cache
def _libraries() -> ThreadpoolController:
    """The numeric libraries' threads: one is enough for so few trials, and the same on every machine."""
    return ThreadpoolController()


@dataclass(frozen=True)
class _Hedge:
    """What GP-Hedge's three functions have gained, and the point that each proposed last."""

    gains: npt.NDArray[np.float64]
    candidates: list[npt.NDArray[np.float64]]


class _Hedges:
    """Where GP-Hedge stood after which trials, so that a search rebuilt for each question needn't work it out anew.

    Whatever isn't kept any more is found again by fitting; nothing depends on what is here.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, _Hedge] = OrderedDict()
        self._lock = Lock()

    def get(self, record: str) -> _Hedge | None:
        """The standing after the trials of this record, None if it isn't kept."""
        with self._lock:
            return self._kept.get(record)

    def keep(self, record: str, hedge: _Hedge) -> None:
        """Keeps a standing, and lets the oldest go if there are too many."""
        with self._lock:
            self._kept[record] = hedge
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


_HEDGES = _Hedges(most=2_000)  # a few hundred bytes each


def _dimension(domain: Domain) -> Real | Categorical:
    if isinstance(domain, Choices) and not domain.ordered:
        return Categorical(list(range(domain.size)), name=domain.name)
    return Real(0.0, 1.0, name=domain.name)


def _random_state(seed: int, number: int) -> np.random.RandomState:
    return np.random.RandomState(np.random.SeedSequence((seed, number)).generate_state(4))
