"""How each column is stored: the narrowest type that holds every value of it, found by looking at all of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from servicekit.column_types import ColumnType
from services.dataset.ingestion.candidates import (
    BOOLEAN,
    DECIMAL_COMMA,
    DESCRIPTIONS,
    FLOAT,
    FLOAT_OR_INFINITE,
    GROUPED,
    INFERRED,
    INTEGER,
    LONG_NUMBER,
    MOMENTS,
    REQUIRED,
    WEAK_TOKENS,
    Candidate,
)
from services.dataset.ingestion.database import Relation, counted, one_row
from services.dataset.ingestion.faults import TypesDontFit, named
from services.dataset.ingestion.reading import Reading, internal

# What doesn't hold the first values can't hold all: each look is dearer, and has fewer candidates.
_GLANCE_VALUES = 200
SAMPLE_ROWS = 20_000
"""The first rows, by which it is decided what is looked for in all of them."""
# What fits so few of the first values isn't worth looking for in all of them.
_WORTH_A_SCAN = 0.9
# A pattern, not a list: DuckDB makes a join of a long list, and a join loses the order of the rows.
_IS_WEAK = f"regexp_full_match({{}}, '{'|'.join(map(re.escape, WEAK_TOKENS))}')"
_WEAK = _IS_WEAK.format("t")


@dataclass(frozen=True)
class Storage:
    """How a column is stored: `value` is SQL over the staged columns, `arrow` its type in the table.

    `type` is None for strings and integers, whose meaning is yet to be judged.
    """

    position: int
    arrow: pa.DataType
    value: str
    type: ColumnType | None
    note: str = ""  # what a user should know of the column, to be followed by its name


@dataclass(frozen=True)
class Guess:
    """What a column is expected to hold: values of a candidate, or what is read as it is where there is none."""

    arrow: pa.DataType
    type: ColumnType | None
    candidate: Candidate | None = None

    def stored(self, position: int) -> Storage:
        """How the column is stored once its values have been read so."""
        return Storage(position, self.arrow, internal(position), self.type)


class Columns:
    """The staged columns of a file, and what can be made of them."""

    def __init__(
        self, relation: Relation, reading: Reading, rows: int, settled: Mapping[int, Storage] | None = None
    ) -> None:
        self._relation = relation
        self._reading = reading
        self._rows = rows
        self._settled = settled or {}

    def infer(self, position: int) -> Storage:
        """How a column is stored if nobody says otherwise."""
        if position in self._settled:
            return self._settled[position]
        target = self._reading.targets.get(position)
        if target is not None:
            return Storage(position, target, internal(position), _type_of(target))
        values, fitting = self._fitting(position, self._plausible(position))
        found = [candidate for candidate, count in fitting.items() if values and count == values]
        text = Storage(position, pa.string(), internal(position), None)
        if not found:
            return replace(text, note=self._too_long(position, values) or _near_miss(values, fitting))
        best = found[0]
        if best is FLOAT_OR_INFINITE:
            return replace(_stored(position, best), note=self._infinities(position, values, fitting))
        if _ambiguous(best, found):
            return replace(text, note="could be day before month or month before day, so it was left as text")
        if best is DECIMAL_COMMA:
            return self._decimal_comma(position, text)
        return _stored(position, best)

    def as_type(self, wanted: ColumnType, inferred: Storage) -> Storage | str:
        """How a column is stored for a type set by hand; what is wrong if the type doesn't hold every value."""
        position = inferred.position
        text = Storage(position, pa.string(), self._text(position), wanted)
        if wanted is ColumnType.TEXT:
            return text
        if wanted is ColumnType.CATEGORICAL or (wanted is ColumnType.IDENTIFIER and inferred.type is None):
            return replace(inferred, type=wanted, note="")
        if wanted is ColumnType.IDENTIFIER:
            return text
        if _type_of(inferred.arrow) is wanted or (wanted is ColumnType.INTEGER and pa.types.is_integer(inferred.arrow)):
            return replace(inferred, type=wanted)
        values, fitting = self._fitting(position, REQUIRED[wanted])
        found = [candidate for candidate, count in fitting.items() if count == values]
        if not found:
            misfits = self._misfits(position, REQUIRED[wanted])
            return f"{misfits:,} of {values:,} values are no {wanted}; it holds {DESCRIPTIONS[wanted]}"
        if values and _ambiguous(found[0], found):
            return "day and month can't be told apart: write the dates as in 2024-02-29"
        note = self._infinities(position, values, fitting) if found[0] is FLOAT_OR_INFINITE else ""
        return replace(_stored(position, found[0], self._text(position)), type=wanted, note=note)

    def _text(self, position: int) -> str:
        column = internal(position)
        return f"CAST({column} AS VARCHAR)" if position in self._reading.targets else column

    def _plausible(self, position: int) -> Sequence[Candidate]:
        """What the way the file marks its values leaves open."""
        candidates = MOMENTS if position in self._reading.text_only else INFERRED
        if not self._reading.decimal_comma:
            candidates = tuple(candidate for candidate in candidates if candidate is not DECIMAL_COMMA)
        return candidates

    def _fitting(self, position: int, candidates: Iterable[Candidate]) -> tuple[int, dict[Candidate, int]]:
        """How many values there are, and how many of them each candidate holds; unlikely ones are left out."""
        promising = self._promising(position, candidates)
        if promising and self._rows > SAMPLE_ROWS:
            promising = list(self._surviving(position, promising)[1])
        return self._count(position, promising, "")

    def foresee(self, position: int) -> Guess | None:
        """What `infer` will find if the rows after these are like them; None where these don't tell.

        The rows are the first ones of the file, SAMPLE_ROWS of them. Text is foreseen only where it is certain.
        """
        target = self._reading.targets.get(position)
        if target is not None:
            return Guess(target, _type_of(target))
        column = internal(position)
        seen = self._one(f"count({column})", position)
        promising = self._promising(position, self._plausible(position))
        values, surviving = self._surviving(position, promising)
        if seen < _GLANCE_VALUES or not values:
            return None
        if not surviving:
            # Of long numbers it is told that they are too long.
            return None if self._promising(position, [LONG_NUMBER]) else Guess(pa.string(), None)
        best = next((candidate for candidate, count in surviving.items() if count == values), None)
        if best is None or best in (FLOAT_OR_INFINITE, DECIMAL_COMMA) or best.day_first is not None:
            return None
        return Guess(best.arrow, _meaning_of(best), best)

    def _surviving(self, position: int, promising: Sequence[Candidate]) -> tuple[int, dict[Candidate, int]]:
        """How many values the first rows have, and how many each candidate holds that is worth looking for in all."""
        values, counts = self._count(position, promising, f"LIMIT {SAMPLE_ROWS}")
        return values, {candidate: count for candidate, count in counts.items() if count >= _WORTH_A_SCAN * values}

    def _one(self, expression: str, position: int) -> int:
        [found] = one_row(self._relation.connection, f"SELECT {expression} FROM {self._relation.of(position)}")
        return int(found)

    def _promising(self, position: int, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The candidates whose pattern most of the first values have."""
        found = self._relation.connection.execute(
            f"SELECT {self._text(position)} FROM {self._relation.of(position)} "
            f"WHERE {internal(position)} IS NOT NULL LIMIT {_GLANCE_VALUES}"
        )
        texts = [text.strip(" \t") for (text,) in found.fetchall()]
        values = [text for text in texts if text not in WEAK_TOKENS]
        return [
            candidate
            for candidate in candidates
            if sum(bool(re.fullmatch(candidate.pattern, value)) for value in values) >= _WORTH_A_SCAN * len(values)
        ]

    def _misfits(self, position: int, candidates: Sequence[Candidate]) -> int:
        """How many values the candidate doesn't hold that holds most of the first ones."""
        _, counts = self._count(position, candidates, f"LIMIT {SAMPLE_ROWS}")
        nearest = max(counts, key=lambda candidate: counts[candidate])
        values, fitting = self._count(position, [nearest], "")
        return values - fitting[nearest]

    def _count(self, position: int, candidates: Sequence[Candidate], limit: str) -> tuple[int, dict[Candidate, int]]:
        counts = ", ".join(counted(f"NOT {_WEAK} AND {candidate.holds('t')}") for candidate in candidates)
        query = (
            f"SELECT {counted(f'NOT {_WEAK}')}{', ' if counts else ''}{counts} "
            f"FROM (SELECT {trimmed(self._text(position))} AS t FROM {self._relation.of(position)} {limit}) "
            "WHERE t IS NOT NULL"
        )
        values, *found = one_row(self._relation.connection, query)
        return values, dict(zip(candidates, found, strict=True))

    def _infinities(self, position: int, values: int, fitting: Mapping[Candidate, int]) -> str:
        finite = fitting.get(FLOAT)
        if finite is None:  # it was unlikely to hold all
            finite = self._count(position, [FLOAT], "")[1][FLOAT]
        return f"has {values - finite:,} infinite numbers of {values:,}, which were taken as missing"

    def _too_long(self, position: int, values: int) -> str:
        """What to say of a column of numbers if some are too long to be kept as such."""
        if not values or position in self._reading.text_only or not self._promising(position, [LONG_NUMBER]):
            return ""
        [count] = self._count(position, [LONG_NUMBER], "")[1].values()
        if count < values:
            return ""
        return "was left as text, since some of its numbers have more digits than 64 bits hold"

    def _decimal_comma(self, position: int, text: Storage) -> Storage:
        """Commas are decimal only if some number can't be read with them between its thousands."""
        trimmed_column = f"(SELECT {trimmed(internal(position))} AS t FROM {self._relation.of(position)})"
        decimals = counted(f"NOT {_WEAK} AND NOT {GROUPED}")
        [decimal] = one_row(self._relation.connection, f"SELECT {decimals} FROM {trimmed_column}")
        if not decimal:
            return replace(text, note="could have decimal commas or commas between thousands, so it was left as text")
        return _stored(position, DECIMAL_COMMA)


def trimmed(text: str) -> str:
    """SQL: some text, itself SQL, without the spaces around it."""
    return f"trim({text}, ' \t')"


def unless_weak(text: str, value: str) -> str:
    """SQL: a value, unless some text without spaces around it stands for a missing one; null then."""
    return f"CASE WHEN NOT {_IS_WEAK.format(text)} THEN {value} END"


def settle(
    columns: Columns, reading: Reading, required: Mapping[str, ColumnType], wished: Mapping[str, ColumnType]
) -> list[tuple[Storage, Storage]]:
    """How every column is stored: as inferred, and as it is for the types set by hand or wished for.

    Raises:
        TypesDontFit: types set by hand don't hold every value; all of them are named.
    """
    faults: dict[str, str] = {}
    settled = []
    for position, name in enumerate(reading.names):
        inferred = columns.infer(position)
        declared = reading.declared.get(position)
        if declared is not None:
            stored = columns.as_type(declared, inferred)
            inferred = inferred if isinstance(stored, str) else stored
        chosen: Storage | str = inferred
        if name in required:
            chosen = columns.as_type(required[name], inferred)
        elif name in wished:
            wish = columns.as_type(wished[name], inferred)
            if isinstance(wish, str):
                reading.notes.append(f"Column {named([name])} can't be {wished[name]} as it was before: {wish}.")
            else:
                chosen = wish
        if isinstance(chosen, str):
            faults[name] = chosen
            continue
        settled.append((inferred, chosen))
    if faults:
        raise TypesDontFit(faults)
    return settled


def _stored(position: int, candidate: Candidate, text: str | None = None) -> Storage:
    whole = trimmed(text or internal(position))
    value = unless_weak(whole, candidate.read(whole))
    return Storage(position, candidate.arrow, value, _meaning_of(candidate))


def _meaning_of(candidate: Candidate) -> ColumnType | None:
    return None if candidate is INTEGER else candidate.type


def _type_of(kind: pa.DataType) -> ColumnType | None:
    if pa.types.is_floating(kind):
        return ColumnType.FLOAT
    if pa.types.is_boolean(kind):
        return ColumnType.BOOLEAN
    if pa.types.is_date(kind):
        return ColumnType.DATE
    return ColumnType.DATETIME if pa.types.is_timestamp(kind) else None


def _ambiguous(best: Candidate, found: Sequence[Candidate]) -> bool:
    """Whether dates can be read with the day first and with the month first."""
    return best.day_first is not None and any(
        other.day_first is not None and other.day_first != best.day_first for other in found
    )


def _near_miss(values: int, fitting: Mapping[Candidate, int]) -> str:
    """What to say of a column that is nearly of a better type than text."""
    for candidate in (INTEGER, FLOAT, BOOLEAN, *MOMENTS):
        count = fitting.get(candidate, 0)
        if values and _WORTH_A_SCAN * values <= count < values:
            what = DESCRIPTIONS[candidate.type].partition(",")[0]
            return f"is text because {values - count:,} of {values:,} values are no {what}"
    return ""
