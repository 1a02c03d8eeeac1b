"""What every method of searching offers."""

from collections.abc import Mapping
from typing import Protocol, SupportsFloat

from services.optimizer.search.trials import Outcome, Suggestion, Trial


class Search(Protocol):
    """A search: it is asked for trials and told how they ended.

    What is asked depends on nothing but the space, the settings, and what was asked and told before, in that order. So
    the same search twice asks the same points in the same order while its trials run one at a time, and a rebuilt one
    asks what the uninterrupted one would have asked.

    Safe to use from several threads: calls wait for one another. `ask` can take seconds; call it from a thread.
    """

    def ask(self, count: int = 1) -> list[Suggestion]:
        """At most `count` trials to run now.

        Fewer, or none, if the search has nothing left to ask (`exhausted`) or waits for trials that run. Of a rebuilt
        search, those that ran when it was recorded come first, under their old numbers.
        """

    def report(self, number: int, epochs: int, scores: Mapping[str, SupportsFloat | None]) -> bool:
        """Takes scores on the way, after so many epochs; whether the trial may go on. Only at its rungs can it be no.

        Raises KeyError if there is no such trial.
        """

    def tell(self, number: int, outcome: Outcome) -> None:
        """Takes how a trial ended. Telling the same again changes nothing.

        Raises KeyError if there is no such trial, and ValueError if it was told to have ended otherwise.
        """

    @property
    def exhausted(self) -> bool:
        """Whether nothing will be asked any more, whatever is told; trials may still run."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, in the order in which they were asked."""
