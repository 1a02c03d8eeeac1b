"""New identifiers of the source's shape, none of them the source's own."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from services.generation.engines.protocol import Failure
from services.generation.tables.integers import from_integers, is_whole, shifted, to_integers, widest_room
from services.generation.tables.seen import SeenValues

# Room for so many new integers is made sure of at the fit, more than anybody draws at once.
ROOM = 10_000_000

UPPER, LOWER, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
# A character's class by the mark that stands for it in a shape; any other mark stands for itself.
ALPHABETS = {"9": DIGITS, "A": UPPER, "a": LOWER, "x": "0123456789abcdef", "X": "0123456789ABCDEF"}
HEXADECIMAL = re.compile(r"(?=.*[0-9])(?=.*[A-Fa-f])[^G-Zg-z]{8,}", re.DOTALL)
UUID = re.compile(r"[{(]?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}[)}]?")
UUID_VARIANT_DIGIT = 19
# With fewer rows of a shape, what its positions have in common may be chance, or give somebody away.
ROWS_FOR_CONSTANT, ROWS_FOR_ALPHABET = 5, 50
MOST_SHAPES = 1000
ROWS_LOOKED_AT = 10_000
# A shape is widened until at most half of what it can say is taken.
SPARE = 2


class SequenceIdentifier(BaseModel):
    """Whole numbers (dates and times too) that go on where the source's end, at the source's usual distance.

    Where the type has no room above the largest, they come from the widest gap instead.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["sequence"] = "sequence"
    first: int
    step: int
    count: int

    @classmethod
    def of(cls, array: pa.Array) -> "SequenceIdentifier":
        """A sequence that avoids every value of the array, which has none missing and at least one."""
        values = sorted({math.ceil(value) for value in _integers(array)})
        distances = np.diff(np.array(values, dtype=object))
        usual = int(sorted(distances)[len(distances) // 2]) if len(distances) else 1
        first, last = widest_room(values, array.type, ROOM)
        step = max(1, min(usual, (last - first) // ROOM))
        return cls(first=first, step=step, count=(last - first) // step + 1)

    def values(self, start: int, count: int, type_: pa.DataType) -> pa.Array:
        """The identifiers from the `start`-th on. Raises Failure if the type has no more of them."""
        if start + count > self.count:
            message = f"A column of identifiers has room for only {self.count} new ones; draw fewer rows."
            raise Failure("TABLE_NOT_LEARNABLE", message)
        counted_as = _counted_as(type_)
        steps = np.arange(start, start + count, dtype=np.uint64)
        array = from_integers(shifted(steps, self.step, self.first, counted_as), counted_as)
        return array.cast(type_)


def _counted_as(type_: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_floating(type_) else type_


def _integers(array: pa.Array) -> Iterator[Any]:
    if pa.types.is_floating(array.type):
        return iter(pc.unique(array).to_pylist())
    return iter(to_integers(pc.unique(array)).tolist())


class Shape(BaseModel):
    """What identifiers of one shape look like: a mark for every character, and what may stand at each position."""

    model_config = ConfigDict(frozen=True)

    marks: str
    alphabets: tuple[str, ...]
    rows: int

    def widened(self, wanted: int) -> "Shape":
        """A shape that can say so many identifiers: first digits are freed, then letters, then digits added."""
        shape = self
        for freed in ("9xX", "Aa"):
            if shape.capacity() >= wanted:
                return shape
            pairs = zip(shape.marks, shape.alphabets, strict=True)
            alphabets = tuple(ALPHABETS[mark] if mark in freed else alphabet for mark, alphabet in pairs)
            shape = shape.model_copy(update={"alphabets": alphabets})
        while shape.capacity() < wanted:
            shape = shape.lengthened()
        return shape

    def lengthened(self) -> "Shape":
        """With one more digit at the end."""
        return self.model_copy(update={"marks": self.marks + "9", "alphabets": (*self.alphabets, DIGITS)})

    def capacity(self) -> int:
        """How many identifiers can be said."""
        return math.prod(map(len, self.alphabets))

    def drawn(self, count: int, draws: np.random.Generator) -> list[str]:
        """So many identifiers, not all different."""
        characters = np.empty((count, len(self.alphabets)), dtype="<U1")
        for place, alphabet in enumerate(self.alphabets):
            characters[:, place] = np.array(list(alphabet))[draws.integers(len(alphabet), size=count)]
        values: list[str] = characters.view(f"<U{len(self.alphabets)}").ravel().tolist()
        return values


class PatternIdentifier(BaseModel):
    """Strings with letters, digits and signs where the source's have them.

    What every identifier of a shape has in common (a prefix, the version in a UUID) is kept, if enough rows have it.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["pattern"] = "pattern"
    shapes: tuple[Shape, ...]
    seen: SeenValues

    @classmethod
    def of(cls, array: pa.Array, salt: bytes) -> "PatternIdentifier":
        """The shapes of an array of strings without missing values."""
        values: list[str] = pc.unique(array).to_pylist()
        hexadecimal = all(map(HEXADECIMAL.fullmatch, values))
        upper = any(letter in value for value in values for letter in "ABCDEF") if hexadecimal else False
        marks_of = _Marks("X" if upper else "x" if hexadecimal else "")
        by_marks: dict[str, list[str]] = defaultdict(list)
        for value in values:
            by_marks[value.translate(marks_of)].append(value)
        most = Counter({marks: len(group) for marks, group in by_marks.items()}).most_common(MOST_SHAPES)
        uuids = all(map(UUID.fullmatch, values))
        shapes = tuple(_shape(marks, by_marks[marks], uuids) for marks, _ in most)
        return cls(shapes=shapes, seen=SeenValues.of(values, salt))


class PatternSource:
    """Draws the identifiers of one sampling: new ones, each once."""

    def __init__(self, pattern: PatternIdentifier, rows: int) -> None:
        """`rows` is how many will be drawn in all, which the shapes are widened for."""
        self._seen = pattern.seen
        self._given: set[str] = set()
        self._weights = np.array([shape.rows for shape in pattern.shapes], dtype=np.float64)
        expected = self._weights / self._weights.sum() * rows
        self._shapes = [
            shape.widened(SPARE * (shape.rows + math.ceil(share)))
            for shape, share in zip(pattern.shapes, expected, strict=True)
        ]

    def values(self, count: int, draws: np.random.Generator) -> list[str]:
        """The next identifiers."""
        chosen = draws.choice(len(self._shapes), size=count, p=self._weights / self._weights.sum())
        result = [""] * count
        for number in np.unique(chosen):
            places = np.flatnonzero(chosen == number)
            for place, value in zip(places, self._new(int(number), len(places), draws), strict=True):
                result[place] = value
        return result

    def _new(self, number: int, count: int, draws: np.random.Generator) -> Iterator[str]:
        while count:
            found = 0
            for value in self._shapes[number].drawn(count, draws):
                if value not in self._given and value not in self._seen:
                    self._given.add(value)
                    found += 1
                    yield value
            count -= found
            if not found and count:
                # A stretch of the shape is taken whole; a longer one always has room in the end.
                self._shapes[number] = self._shapes[number].lengthened()


class _Marks(dict[int, str]):
    """A character's mark by its code point, for `str.translate`; each is found out once."""

    def __init__(self, hexadecimal: str) -> None:
        """`hexadecimal` is the mark of letters and digits, where they all have the same."""
        super().__init__()
        self._hexadecimal = hexadecimal

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character.isdecimal():
            mark = self._hexadecimal or "9"
        elif character.isalpha():
            mark = self._hexadecimal or ("A" if character.isupper() else "a")
        else:
            mark = character
        self[code] = mark
        return mark


def _shape(marks: str, values: Sequence[str], uuids: bool) -> Shape:
    columns: list[tuple[str, ...]] = list(zip(*values[:ROWS_LOOKED_AT], strict=True))
    alphabets = tuple(_alphabet(mark, column, len(values)) for mark, column in zip(marks, columns, strict=True))
    variant = UUID_VARIANT_DIGIT + (marks[:1] in "{(")
    if uuids and set(columns[variant]) <= set("89abAB"):
        digits = "89AB" if marks[variant] == "X" else "89ab"
        alphabets = (*alphabets[:variant], digits, *alphabets[variant + 1 :])
    return Shape(marks=marks, alphabets=alphabets, rows=len(values))


def _alphabet(mark: str, column: Sequence[str], rows: int) -> str:
    """What may stand at a position: what stands there in the source, where there are rows enough to tell."""
    found = sorted(set(column))
    whole = ALPHABETS.get(mark)
    if whole is None:
        return mark
    constant = len(found) == 1 and rows >= ROWS_FOR_CONSTANT
    return "".join(found) if constant or rows >= ROWS_FOR_ALPHABET else whole


def takes(type_: pa.DataType) -> Literal["sequence", "pattern"] | None:
    """How identifiers of this type are made; None if they can't be."""
    if is_whole(type_) or pa.types.is_floating(type_):
        return "sequence"
    plain = type_.value_type if pa.types.is_dictionary(type_) else type_
    return "pattern" if pa.types.is_string(plain) or pa.types.is_large_string(plain) else None


def plain_strings(array: pa.Array) -> pa.Array:
    """Strings instead of references to a dictionary."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
