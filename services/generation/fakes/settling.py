"""Draws values until every one is allowed: none of the source's, and none twice where none may repeat."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.generation.engines.protocol import Failure
from services.generation.fakes.protected import Guard

Places = npt.NDArray[np.int64]
Columns = dict[str, list[str]]
Draw = Callable[[Places, int], Columns]
Write = Callable[[Places, int], list[str]]

# Every attempt draws from a wider range than the one before, so that few are ever needed.
MOST_ATTEMPTS: Final = 40


class Rule:
    """What a column's values keep to over a whole sampling."""

    def __init__(self, guard: Guard, *, unique: bool, largest: int | None = None) -> None:
        """`largest` is the largest number that a column of numbers holds; None for one of text."""
        self._guard = guard
        self._unique = unique
        self._largest = largest
        self._given: set[str] = set()

    @property
    def given(self) -> set[str] | None:
        """The values that were given, where none may come twice; None where they may."""
        return self._given if self._unique else None

    def held(self, values: Sequence[str]) -> Sequence[str]:
        """Values as the column holds them: one of numbers keeps nothing but their digits."""
        return values if self._largest is None else [str(number_in(value)) for value in values]

    def free(self, held: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which values, as the column holds them, the source doesn't have."""
        free = ~self._guard.protects(held)
        if self._largest is not None:
            free &= np.array([int(value) <= self._largest for value in held], dtype=np.bool_)
        return free

    def allowed(self, pool: Sequence[str]) -> list[str]:
        """The values of a pool that the source doesn't have."""
        return [value for value, is_free in zip(pool, self.free(self.held(pool)), strict=True) if is_free]


def number_in(text: str) -> int:
    """The number that the digits of a text make."""
    return int("".join(mark for mark in text if mark.isdecimal()) or 0)


def settle_one(count: int, name: str, write: Write, rule: Rule) -> list[str]:
    """Values for so many rows of one column."""

    def draw(places: Places, attempt: int) -> Columns:
        return {name: write(places, attempt)}

    return settle(count, draw, {name: rule})[name] if count else []


def settle(count: int, draw: Draw, rules: Mapping[str, Rule]) -> Columns:
    """Values for so many rows, column by column; a row is drawn again until all of it is allowed.

    `draw` gets the places of the rows to draw and the attempt, from 0; what it gives beyond the rules' columns comes
    along. Raises Failure if there is no end to it, which only a draw that doesn't widen can bring about.
    """
    result: Columns = {}
    places = np.arange(count)
    for attempt in range(MOST_ATTEMPTS):
        drawn = draw(places, attempt)
        result = result or {name: [""] * count for name in drawn}
        admitted = _admitted(drawn, rules, len(places))
        if attempt == 0 and admitted.all():
            return drawn
        targets, chosen = places[admitted].tolist(), np.flatnonzero(admitted).tolist()
        for name, values in drawn.items():
            column = result[name]
            for target, place in zip(targets, chosen, strict=True):
                column[target] = values[place]
        places = places[~admitted]
        if not len(places):
            return result
    names = ", ".join(repr(name) for name in rules)
    raise Failure(
        "TABLE_NOT_LEARNABLE",
        f"No more values can be invented for {names}: draw fewer rows, or make columns of small numbers text.",
    )


def _admitted(drawn: Columns, rules: Mapping[str, Rule], count: int) -> npt.NDArray[np.bool_]:
    admitted = np.ones(count, dtype=np.bool_)
    held = {name: rule.held(drawn[name]) for name, rule in rules.items()}
    for name, rule in rules.items():
        admitted &= rule.free(held[name])
    unique = [(given, held[name]) for name, rule in rules.items() if (given := rule.given) is not None]
    if unique:
        for place in np.flatnonzero(admitted).tolist():
            if any(values[place] in given for given, values in unique):
                admitted[place] = False
            else:
                for given, values in unique:
                    given.add(values[place])
    return admitted
