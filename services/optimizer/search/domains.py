"""What one parameter may be in a search: a range of numbers, or some choices; and each as numbers from 0 to 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import TypeAlias

Value: TypeAlias = int | float | bool | str | list[int]

# So many significant digits of a real number are searched: beyond them lies noise, and records stay readable.
_SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class IntegerRange:
    """The whole numbers from `low` to `high`, both included; each as probable as another."""

    name: str
    low: int
    high: int

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.high - self.low + 1

    def decode(self, unit: float) -> int:
        """The value at a place between 0 and 1; [0, 1] is cut into as many equal parts as there are values."""
        return self.low + min(int(unit * self.size), self.size - 1)

    def encode(self, value: Value) -> float:
        """The middle of a value's part of [0, 1]; a value outside the range lies at its nearer end."""
        number = min(max(_number(value), self.low), self.high)
        return (number - self.low + 0.5) / self.size

    def values(self) -> Sequence[int]:
        """All values, in order."""
        return range(self.low, self.high + 1)

    def levels(self, count: int) -> list[int]:
        """At most `count` values at even distances, both ends among them (a count of one: the middle)."""
        if count == 1:
            return [(self.low + self.high) // 2]
        width = self.high - self.low
        return list(dict.fromkeys(self.low + round(width * step / (count - 1)) for step in range(count)))


@dataclass(frozen=True)
class RealRange:
    """The real numbers from `low` to `high`, both included, evenly on a linear or a logarithmic scale."""

    name: str
    low: float
    high: float
    logarithmic: bool

    @property
    def size(self) -> None:
        """More than can be counted."""
        return

    def decode(self, unit: float) -> float:
        """The value at a place between 0 and 1, to six significant digits."""
        if self.logarithmic:
            value = self.low * (self.high / self.low) ** unit
        else:
            value = self.low + (self.high - self.low) * unit
        return min(max(float(f"{value:.{_SIGNIFICANT_DIGITS}g}"), self.low), self.high)

    def encode(self, value: Value) -> float:
        """A value's place between 0 and 1; a value outside the range lies at its nearer end."""
        number = min(max(float(_number(value)), self.low), self.high)
        if self.logarithmic:
            return log(number / self.low) / log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    def levels(self, count: int) -> list[float]:
        """`count` values at even distances on the range's scale, both ends among them (one: the middle)."""
        if count == 1:
            return [self.decode(0.5)]
        return list(dict.fromkeys(self.decode(step / (count - 1)) for step in range(count)))


@dataclass(frozen=True)
class Choices:
    """Some values, all of one type; `ordered` if they are numbers, which are then in ascending order."""

    name: str
    choices: tuple[Value, ...]
    ordered: bool

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.choices)

    def decode(self, unit: float) -> Value:
        """The value at a place between 0 and 1; [0, 1] is cut into as many equal parts as there are values."""
        return self.choices[min(int(unit * self.size), self.size - 1)]

    def encode(self, value: Value) -> float:
        """The middle of a value's part of [0, 1]; of a number that isn't among the choices, that of the nearest one."""
        return (self.index(value) + 0.5) / self.size

    def index(self, value: Value) -> int:
        """A value's place among the choices, or of a number that isn't there, that of the nearest one.

        Raises ValueError for anything else that isn't among them.
        """
        if value in self.choices or not self.ordered:
            return self.choices.index(value)
        number = _number(value)
        return min(range(self.size), key=lambda place: abs(_number(self.choices[place]) - number))

    def values(self) -> Sequence[Value]:
        """All values, in order."""
        return self.choices

    def levels(self, count: int) -> list[Value]:
        """All values, however many are wanted: a choice is never left out."""
        del count
        return list(self.choices)


Domain: TypeAlias = IntegerRange | RealRange | Choices


def _number(value: Value) -> int | float:
    if isinstance(value, str | list):
        raise TypeError(f"{value!r} is not a number")
    return value
