"""What can go wrong that a caller can act on."""

from collections.abc import Mapping


class EngineError(Exception):
    """Whatever this package refuses; the message says what would be right."""


class TableRefused(EngineError):
    """A table can't be learnt or read: `problems` tells by column why, and what would be right."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{column}: {problem}" for column, problem in problems.items()))
        self.problems = dict(problems)


class ConditionsRefused(EngineError):
    """No row can meet what was asked for: `problems` tells by column why, and what would be right."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{column}: {problem}" for column, problem in problems.items()))
        self.problems = dict(problems)


class ModelFileRefused(EngineError):
    """A file is no model of ours, is damaged, or was written by a later version than this."""


class TrainingDiverged(EngineError):
    """A loss stopped being a number."""


class Cancelled(Exception):
    """The work was called off while it was going on."""
