"""Searching for good parameters: plain Python, scikit-optimize and scikit-learn; no service, no database.

`parse_space` and `parse_goal` check a request, `create` makes a search and `rebuild` makes it again from its record;
`Search` says what one offers.
"""

from services.optimizer.search.create import create, rebuild
from services.optimizer.search.faults import Fault, InvalidSearch
from services.optimizer.search.goal import Cap, Goal, parse_goal
from services.optimizer.search.metrics import Direction, direction
from services.optimizer.search.parameters import ParameterInfo
from services.optimizer.search.protocol import Search
from services.optimizer.search.settings import ACQUISITION_FUNCTIONS, METHODS, SearchSettings
from services.optimizer.search.space import Point, Space
from services.optimizer.search.trials import Ending, Outcome, Suggestion, Trial
from services.optimizer.search.validation import parse_space

__all__ = [
    "ACQUISITION_FUNCTIONS",
    "METHODS",
    "Cap",
    "Direction",
    "Ending",
    "Fault",
    "Goal",
    "InvalidSearch",
    "Outcome",
    "ParameterInfo",
    "Point",
    "Search",
    "SearchSettings",
    "Space",
    "Suggestion",
    "Trial",
    "create",
    "direction",
    "parse_goal",
    "parse_space",
    "rebuild",
]
