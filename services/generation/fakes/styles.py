"""How a column writes its values: capitals, order, spaces and signs."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from servicekit.personal_data import PersonalKind
from services.generation.fakes.kinds import NAMES, PLACES

MOST_PATTERNS: Final = 20
# A pattern in fewer rows than this says more about somebody than about the column, unless no other is as frequent.
LEAST_ROWS: Final = 3
MARK: Final = "#"
# In a number with its country's code, the 0 that is dialled at home only.
HOME_ZERO: Final = "(0)"
_RUN: Final = re.compile(f"{MARK}+")
_SIGNS: Final = frozenset(" +-./()xX\u00a0")
# Spanish numbers of foreigners begin with X, Y or Z; American tax numbers of those who get no other with 9.
_TELLING: Final = ("X", "Y", "Z", "9")
_PATTERNED: Final = frozenset(
    {PersonalKind.PHONE_NUMBER, PersonalKind.IBAN, PersonalKind.CARD_NUMBER, PersonalKind.NATIONAL_ID}
)

Case = Literal["written", "upper", "lower"]


class Pattern(BaseModel):
    """Where the signs stand between letters and digits (each a `#`), with what a number begins with where that tells.

    The first digit of a card number tells its network, the first two letters of an IBAN its country, a 0 that a
    telephone number is written as it is dialled at home, and some characters which of a country's national numbers
    it is.
    """

    model_config = ConfigDict(frozen=True)

    marks: str
    head: str
    rows: int


class Style(BaseModel):
    """How a column writes its values."""

    model_config = ConfigDict(frozen=True)

    case: Case = "written"
    comma_first: bool = False
    """Whether a full name is written `Last, First`."""
    one_line: bool = False
    """Whether an address has no line breaks."""
    patterns: tuple[Pattern, ...] = ()
    share_v6: float = 0.0
    """The share of network addresses that are of version 6."""

    @classmethod
    def of(cls, kind: PersonalKind, values: Sequence[str]) -> "Style":
        """The style of a column's values, none of them missing."""
        if kind in _PATTERNED:
            return cls(patterns=_patterns(kind, values))
        if kind is PersonalKind.IP_ADDRESS and values:
            return cls(share_v6=sum(":" in value for value in values) / len(values))
        if kind not in NAMES | PLACES or not values:
            return cls()
        letters = [value for value in values if value.upper() != value.lower()]
        half = len(values) / 2
        case: Case = "written"
        if letters and sum(value == value.upper() for value in letters) > half:
            case = "upper"
        elif letters and sum(value == value.lower() for value in letters) > half:
            case = "lower"
        return cls(
            case=case,
            comma_first=sum("," in value for value in values) > len(values) / 2,
            one_line=not any("\n" in value for value in values),
        )

    def cased(self, values: list[str]) -> list[str]:
        """The values with the column's capitals."""
        if self.case == "upper":
            return [value.upper() for value in values]
        return [value.lower() for value in values] if self.case == "lower" else values

    def drawn(self, count: int, draws: np.random.Generator) -> list[Pattern | None]:
        """A pattern for each of so many values, by how frequent they are; None where none is known."""
        if not self.patterns:
            return [None] * count
        rows = np.array([pattern.rows for pattern in self.patterns], dtype=np.float64)
        return [self.patterns[place] for place in draws.choice(len(rows), size=count, p=rows / rows.sum())]


def laid_out(marks: str, characters: str) -> str:
    """Letters and digits where a pattern has its marks; they must be as many."""
    template, ends = _template(marks)
    return template.format(*(characters[start:end] for start, end in ends))


@cache
def _template(marks: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A pattern as a format string, with where the piece for each of its fields begins and ends."""
    lengths = [len(run) for run in _RUN.findall(marks)]
    ends = np.cumsum(lengths).tolist()
    return _RUN.sub("{}", marks), tuple((end - length, end) for length, end in zip(lengths, ends, strict=True))


def _patterns(kind: PersonalKind, values: Sequence[str]) -> tuple[Pattern, ...]:
    found: Counter[tuple[str, str]] = Counter()
    for value in values:
        marks = HOME_ZERO.join(_marks(kind, part) for part in value.strip().split(HOME_ZERO))
        if set(marks.replace(HOME_ZERO, "")) - {MARK} <= _SIGNS:
            found[marks, _head(kind, value)] += 1
    most = found.most_common(MOST_PATTERNS)
    return tuple(
        Pattern(marks=marks, head=head, rows=rows)
        for place, ((marks, head), rows) in enumerate(most)
        if rows >= LEAST_ROWS or place == 0
    )


def _marks(kind: PersonalKind, value: str) -> str:
    extension = "xX" if kind is PersonalKind.PHONE_NUMBER else ""
    return "".join(MARK if mark.isalnum() and mark not in extension else mark for mark in value)


def _head(kind: PersonalKind, value: str) -> str:
    characters = "".join(mark for mark in value if mark.isalnum()).upper()
    if kind is PersonalKind.PHONE_NUMBER:
        return characters[:1] if characters.startswith("0") else ""
    if kind is PersonalKind.NATIONAL_ID:
        return characters[:1] if characters.startswith(_TELLING) else ""
    return characters[: {PersonalKind.CARD_NUMBER: 1, PersonalKind.IBAN: 2}.get(kind, 0)]
