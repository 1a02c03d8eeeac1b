"""What to try next, worked out: `python -m services.optimizer.strategy`, a process that only computes.

It reads questions from its standard input and writes answers to its standard output, each a pickle behind its length.
It keeps nothing between two questions, and ends with its input, that is, with the service that asks. It imports nothing
but the search.
"""

import pickle
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from services.optimizer.search import (
    Fault,
    Goal,
    InvalidSearch,
    SearchSettings,
    Space,
    Suggestion,
    Trial,
    create,
    rebuild,
)

LENGTH = struct.Struct("!Q")


@dataclass(frozen=True)
class Problem:
    """What is searched, and how."""

    space: Space
    settings: SearchSettings

    @property
    def goal(self) -> Goal:
        """What is sought."""
        return self.settings.goal


class Asked(NamedTuple):
    """What to try next."""

    suggestions: tuple[Suggestion, ...]  # new ones, in order
    exhausted: bool  # nothing will be asked any more, whatever comes of those that run


def check(problem: Problem) -> tuple[Fault, ...]:
    """Everything that keeps the problem from being searched so; none if it can be."""
    try:
        create(problem.space, problem.settings)
    except InvalidSearch as error:
        return error.faults
    return ()


def ask(problem: Problem, trials: Sequence[Trial], count: int) -> Asked:
    """At most `count` new trials, given all that were asked so far with what became of them."""
    search = rebuild(problem.space, problem.settings, trials)
    known = {trial.number for trial in trials}
    running = sum(trial.outcome is None for trial in trials)
    asked = search.ask(count + running)  # those that run are asked again first
    return Asked(tuple(each for each in asked if each.number not in known), search.exhausted)


def goes_on(problem: Problem, trials: Sequence[Trial], number: int, epochs: int, scores: Mapping[str, float]) -> bool:
    """Whether a trial may go on, given its scores after so many epochs."""
    return rebuild(problem.space, problem.settings, trials).report(number, epochs, scores)


def importances(problem: Problem, trials: Sequence[Trial]) -> dict[str, float]:
    """How much each searched parameter matters for the first objective, together 1; empty where it can't be told."""
    from services.optimizer.search.importance import importance  # its libraries take a second

    return dict(importance(problem.space, problem.goal.objectives[0], trials, problem.settings.seed).shares)


QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "check": check,
    "ask": ask,
    "goes_on": goes_on,
    "importances": importances,
}


def answer(question: tuple[str, tuple[Any, ...]]) -> tuple[bool, Any]:
    """Whether all went well, and the answer, or else what went wrong."""
    name, arguments = question
    try:
        return True, QUESTIONS[name](*arguments)
    except Exception as error:  # whatever it is, who asked is told
        return False, f"{type(error).__name__}: {error}"


def main(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answers until there are no more questions."""
    while header := questions.read(LENGTH.size):
        (length,) = LENGTH.unpack(header)
        content = pickle.dumps(answer(pickle.loads(questions.read(length))))  # noqa: S301 - from the service itself
        answers.write(LENGTH.pack(len(content)) + content)
        answers.flush()


if __name__ == "__main__":
    # What is pickled names this module by its own name, not `__main__`.
    from services.optimizer import strategy  # noqa: PLW0406 - `__main__` is another module than itself

    written = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no answer
    strategy.main(sys.stdin.buffer, written)
