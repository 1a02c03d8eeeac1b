"""Conditions on what is drawn: a column's value, one of several, or a range."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mirage_engine.codec import TableCodec
from mirage_engine.codec.column import UNKNOWN, Range
from mirage_engine.codec.numbers import NumberCodec
from mirage_engine.codec.table import LearntColumn
from mirage_engine.codec.types import plain_type, wrapped
from mirage_engine.errors import ConditionsRefused

Conditions = Mapping[str, Any]
"""By column: a value (None for missing), a list of values, or a `Range`."""


@dataclass(frozen=True)
class Resolved:
    """Conditions in a codec's terms, by the learnt columns' places.

    `fixed` has the leaf and the value, an array of one; `within` the ranges; `shares` how much of each leaf may be
    drawn, for every column that isn't free.
    """

    fixed: dict[int, tuple[int, pa.Array]]
    within: dict[int, Range]
    shares: dict[int, NDArray[np.float64]]

    def order(self, columns: int) -> list[int]:
        """The order to draw columns in: those with conditions first, so that the others follow from them."""
        return sorted(range(columns), key=lambda place: (place not in self.shares, place))


def resolve(codec: TableCodec, conditions: Conditions) -> Resolved:
    """Conditions in a codec's terms. Raises ConditionsRefused naming every one that can't be met."""
    fixed: dict[int, tuple[int, pa.Array]] = {}
    within: dict[int, Range] = {}
    shares: dict[int, NDArray[np.float64]] = {}
    problems: dict[str, str] = {}
    places = {column.name: place for place, column in enumerate(codec.columns)}
    for place, column in enumerate(codec.columns):
        if column.codec.never_drawn.any():
            shares[place] = np.where(column.codec.never_drawn, 0.0, 1.0)
    for name, wanted in conditions.items():
        if name not in places:
            problems[name] = f"no learnt column has this name; there are: {', '.join(places)}"
            continue
        if len(codec.schema.get_all_field_indices(name)) > 1:
            problems[name] = "several columns have this name: rename them before fitting"
            continue
        column = codec.columns[places[name]]
        try:
            if isinstance(wanted, Range):
                shares[places[name]] = column.codec.shares(wanted)
                within[places[name]] = wanted
            elif isinstance(wanted, list | tuple | set | frozenset):
                shares[places[name]] = _shares_of(column, list(wanted))
            else:
                fixed[places[name]] = _leaf_of(column, wanted)
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise ConditionsRefused(problems)
    return Resolved(fixed, within, shares)


def with_fixed(batch: pa.RecordBatch, codec: TableCodec, conditions: Resolved) -> pa.RecordBatch:
    """Rows with the values that were asked for in the place of others of the same leaf: a cell holds many numbers."""
    for place, (_, value) in conditions.fixed.items():
        column = codec.columns[place]
        index = batch.schema.get_field_index(column.name)
        repeated = value.take(pa.array(np.zeros(batch.num_rows, np.int64)))
        batch = batch.set_column(index, column.field, repeated)
    return batch


def _leaf_of(column: LearntColumn, value: Any) -> tuple[int, pa.Array]:
    kind = plain_type(column.field.type)
    try:
        plain = pa.array([value]).cast(kind) if isinstance(value, str) else pa.array([value], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise ValueError(f"{value!r} is no value of type {kind}") from error
    leaf = int(column.codec.encode(plain)[0])
    if leaf == UNKNOWN or bool(column.codec.never_drawn[leaf]):
        raise ValueError(f"{value!r} was not in the source, or in too few rows{_told(column)}")
    return leaf, wrapped(plain, column.field.type, column.entries)


def _shares_of(column: LearntColumn, values: Sequence[Any]) -> NDArray[np.float64]:
    if isinstance(column.codec, NumberCodec):
        raise ValueError("give one value or a range: lists are for categories")  # noqa: TRY004 what a caller gave
    shares = np.zeros(column.codec.leaves)
    for value in values:
        shares[_leaf_of(column, value)[0]] = 1.0
    if not values:
        raise ValueError("give at least one value")
    return shares


def _told(column: LearntColumn) -> str:
    return f"; values go {column.codec.told_range()}" if isinstance(column.codec, NumberCodec) else ""


def parsed(codec: TableCodec, texts: Sequence[str]) -> Conditions:
    """Conditions as people type them.

    `column=value`; `column=low..high` for numbers and dates, either end may be left out; `column=one|other` for
    categories; `column=` for missing. Raises ConditionsRefused naming every text that is none of these.
    """
    conditions: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for text in texts:
        name, equals, wanted = text.partition("=")
        column = codec.column(name)
        if not equals:
            problems[text] = "write COLUMN=VALUE"
        elif not wanted:
            conditions[name] = None
        elif column is not None and isinstance(column.codec, NumberCodec) and ".." in wanted:
            low, _, high = wanted.partition("..")
            conditions[name] = Range(low or None, high or None)
        elif column is not None and not isinstance(column.codec, NumberCodec) and "|" in wanted:
            conditions[name] = wanted.split("|")
        else:
            conditions[name] = wanted
    if problems:
        raise ConditionsRefused(problems)
    return conditions
