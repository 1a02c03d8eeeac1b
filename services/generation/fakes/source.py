"""Draws the personal data of one sampling."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from servicekit.personal_data import PersonalKind
from services.generation.fakes.addresses import Addresses
from services.generation.fakes.banking import cards, ibans
from services.generation.fakes.kinds import PLACES
from services.generation.fakes.networks import Networks
from services.generation.fakes.people import People
from services.generation.fakes.phones import phone_numbers
from services.generation.fakes.plan import FakeColumn, FakePlan, FakeSet
from services.generation.fakes.protected import Guard
from services.generation.fakes.settling import Columns, Rule, number_in, settle_one

_OWN_CHANCE: Final = 0x66616B65  # apart from what else a sampling draws with its seed


class FakeSource:
    """The personal data of all the rows of one sampling: the same for the same plan, rows and seed."""

    def __init__(self, plan: FakePlan, rows: int, seed: int, key: bytes) -> None:
        """`key` is the one that the plan was learned with. Raises Failure if there is no end to the drawing."""
        draws = np.random.default_rng([seed, rows, _OWN_CHANCE])
        self._values: dict[str, pa.Array] = {}
        owners: list[tuple[npt.NDArray[np.int64], int]] = []
        for each in plan.sets:
            if each.follows is None:
                who, count = each.repeats.drawn(rows, draws)
            else:
                above, above_count = owners[each.follows]
                of, count = each.repeats.drawn(above_count, draws)
                who = of[above]
            owners.append((who, count))
            for name, values in _made(each, count, key, draws).items():
                self._values[name] = pa.array(values, type=pa.large_string()).take(pa.array(who))

    def values(self, name: str, start: int, count: int, type_: pa.DataType) -> pa.Array:
        """A column's values from the `start`-th row on, as a column of this type."""
        return _typed(self._values[name].slice(start, count), type_)


def _made(each: FakeSet, count: int, key: bytes, draws: np.random.Generator) -> Columns:
    rules = {
        column.name: Rule(Guard(column.protected, key), unique=column.unique, largest=column.largest)
        for column in each.columns
    }
    first = each.columns[0]
    if first.kind in PLACES:
        return Addresses(each.columns, rules, draws).make(count)
    if len(each.columns) == 1 and first.kind in _NUMBERED:
        return _numbers(first, count, rules[first.name], draws)
    return People(each.columns, rules, draws).make(count)


_NUMBERED: Final = {
    PersonalKind.PHONE_NUMBER,
    PersonalKind.IBAN,
    PersonalKind.CARD_NUMBER,
    PersonalKind.IP_ADDRESS,
}


def _numbers(column: FakeColumn, count: int, rule: Rule, draws: np.random.Generator) -> Columns:
    if column.kind is PersonalKind.PHONE_NUMBER:
        write = phone_numbers(column, draws)
    elif column.kind is PersonalKind.IBAN:
        write = ibans(column, draws)
    elif column.kind is PersonalKind.CARD_NUMBER:
        write = cards(column, draws)
    else:
        write = Networks(count, column.style.share_v6, draws).drawn
    return {column.name: settle_one(count, column.name, write, rule)}


def _typed(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Text as a column of the source's type; a column of numbers gets the digits."""
    if pa.types.is_dictionary(type_):
        return values.cast(type_.value_type).dictionary_encode().cast(type_)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return values.cast(type_)
    if pa.types.is_null(type_):
        return pa.nulls(len(values), type_)
    numbers = pa.array([number_in(value) for value in values.to_pylist()], type=pa.decimal128(38, 0))
    return numbers.cast(type_, safe=False) if pa.types.is_floating(type_) else numbers.cast(type_)
