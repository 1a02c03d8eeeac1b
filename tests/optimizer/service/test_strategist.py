"""The process that works out what to try next."""

import pytest

from services.optimizer import strategist
from services.optimizer.search import Goal, ParameterInfo, SearchSettings, parse_space
from services.optimizer.strategist import Strategist, StrategyError
from services.optimizer.strategy import Problem


async def test_a_process_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for so long and no longer, and another is asked the next time."""
    table = [ParameterInfo(name="epochs", type="integer", minimum=10, maximum=500)]
    space = parse_space({"epochs": [10, 90]}, table)
    problem = Problem(space, SearchSettings(method="random", n_trials=4, seed=7, goal=Goal()))
    asked = Strategist()
    try:
        monkeypatch.setattr(strategist, "_LONGEST_S", 0.01)  # it hasn't even begun by then
        with pytest.raises(StrategyError):
            await asked.check(problem)
        monkeypatch.setattr(strategist, "_LONGEST_S", 60.0)
        assert await asked.check(problem) == ()
    finally:
        await asked.close()
