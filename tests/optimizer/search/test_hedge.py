"""GP-Hedge's memory: what it spares, and that nothing depends on it."""

import pytest

from services.optimizer.search import Outcome, bayesian, create, rebuild
from tests.optimizer.search.tables import settings, space


def test_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search rebuilt where nothing is remembered asks the same as one that has just fitted every step."""
    given = settings("bayesian", 14, acquisition_function="gp_hedge")
    search = create(space(), given)
    for place in range(13):
        (suggestion,) = search.ask()
        search.tell(suggestion.number, Outcome.succeeded({"quality_score": place * 7 % 5 / 5}))
    recorded = search.trials
    expected = search.ask()
    monkeypatch.setattr(bayesian, "_HEDGES", bayesian._Hedges(most=1))
    assert rebuild(space(), given, recorded).ask() == expected
