"""Learns of columns of personal data how they are written and how they repeat, never what they say."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from servicekit.personal_data import PersonalKind
from services.generation.engines.protocol import Failure
from services.generation.fakes.grouping import grouped
from services.generation.fakes.kinds import NUMBERS, TELLING
from services.generation.fakes.locales import nearest
from services.generation.fakes.plan import FakeColumn, FakePlan, FakeSet, Repeats
from services.generation.fakes.protected import ProtectedValues
from services.generation.fakes.styles import Style

# How values are written and repeated shows in so many rows as well as in all.
_ROWS_LOOKED_AT: Final = 200_000
_STYLED_VALUES: Final = 20_000
# One in so many rows may say otherwise before a set no longer follows from another.
_EXCEPTIONS: Final = 50

Codes = npt.NDArray[np.int64]


def learn_fakes(
    columns: Mapping[str, pa.Array], kinds: Mapping[str, tuple[PersonalKind, str]], unique: frozenset[str], key: bytes
) -> FakePlan:
    """The plan of columns of personal data, each with its kind and locale.

    `unique` are the columns that identify a row, whatever the source shows. Raises Failure (`TABLE_NOT_LEARNABLE`)
    for a column whose type can't hold its kind.
    """
    texts = {name: _texts(name, columns[name], kind) for name, (kind, _) in kinds.items()}
    learned = {
        name: _column(name, kind, locale, texts[name].drop_null(), key, always=name in unique).model_copy(
            update={"largest": _largest(columns[name].type)}
        )
        for name, (kind, locale) in kinds.items()
    }
    names = grouped([(name, kind) for name, (kind, _) in kinds.items()])
    codes = [_codes([texts[name].slice(0, _ROWS_LOOKED_AT) for name in members]) for members in names]
    order = sorted(range(len(names)), key=lambda place: -_distinct(codes[place]))
    sets: list[FakeSet] = []
    for place, number in enumerate(order):
        members = tuple(
            _telling(learned[name], texts[name].slice(0, _ROWS_LOOKED_AT), codes[number]) for name in names[number]
        )
        earlier = [codes[other] for other in order[:place]]
        # Where something comes only once the whole does, however gaps make it look.
        once = any(learned[name].unique for name in names[number])
        sets.append(FakeSet(columns=members, repeats=Repeats()) if once else _set(members, codes[number], earlier))
    return FakePlan(sets=tuple(sets))


def _column(name: str, kind: PersonalKind, locale: str, present: pa.Array, key: bytes, *, always: bool) -> FakeColumn:
    different = pc.unique(present)
    return FakeColumn(
        name=name,
        kind=kind,
        locale=nearest(locale),
        unique=always or (len(different) == len(present) > 1),
        distinct=max(len(different), 1),
        style=Style.of(kind, present.slice(0, _STYLED_VALUES).to_pylist()),
        protected=ProtectedValues.of(kind, different.to_pylist(), key),
    )


def _texts(name: str, array: pa.Array, kind: PersonalKind) -> pa.Array:
    """A column's values as text: numbers without a point."""
    type_ = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    plain = array.cast(type_)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return plain.cast(pa.large_string())
    if kind in NUMBERS and (pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)):
        whole = plain if pa.types.is_integer(type_) else plain.cast(pa.decimal128(38, 0), safe=False)
        return whole.cast(pa.large_string())
    if pa.types.is_null(type_):
        return pa.nulls(len(array), pa.large_string())
    message = f"The column {name!r} holds values of type {type_}, in which there can be no {kind.value}; correct its kind of personal data."  # noqa: E501
    raise Failure("TABLE_NOT_LEARNABLE", message, column=name)


def _largest(type_: pa.DataType) -> int | None:
    """The largest number up to which columns of a type hold every whole one; None for types that hold text."""
    if pa.types.is_dictionary(type_):
        return _largest(type_.value_type)
    if pa.types.is_integer(type_):
        return int(np.iinfo(type_.to_pandas_dtype()).max)
    if pa.types.is_floating(type_):
        return int(2 ** (np.finfo(type_.to_pandas_dtype()).nmant + 1))
    return int(10 ** (type_.precision - type_.scale)) - 1 if pa.types.is_decimal(type_) else None


def _codes(columns: Sequence[pa.Array]) -> Codes:
    """A number for each row, the same where all the columns are the same; -1 where all are missing."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    absent = np.ones(len(columns[0]), dtype=np.bool_)
    for column in columns:
        places = column.dictionary_encode().indices
        missing = places.is_null().to_numpy(zero_copy_only=False)
        own = places.fill_null(len(column)).to_numpy(zero_copy_only=False).astype(np.int64)
        _, codes = np.unique(codes * (len(column) + 1) + own, return_inverse=True)
        absent &= missing
    codes = codes.astype(np.int64)
    codes[absent] = -1
    return codes


def _distinct(codes: Codes) -> int:
    return len(np.unique(codes[codes >= 0]))


def _telling(column: FakeColumn, values: pa.Array, codes: Codes) -> FakeColumn:
    """A column in whose set no two have the same in it, though rows have."""
    if column.kind not in TELLING:
        return column
    present = values.is_valid().to_numpy(zero_copy_only=False)
    tells = pc.count_distinct(values).as_py() == _distinct(codes[present]) > 1
    return column.model_copy(update={"unique": column.unique or tells})


def _set(members: tuple[FakeColumn, ...], codes: Codes, earlier: Sequence[Codes]) -> FakeSet:
    """A set with what it follows from: the earlier one of the fewest that determines it."""
    present = codes >= 0
    repeats = Repeats.of(np.unique(codes[present], return_counts=True)[1]) if present.any() else Repeats()
    follows, fewest = None, len(codes) + 1
    for place, other in enumerate(earlier):
        both = present & (other >= 0)
        if not both.any():
            continue
        width = int(codes.max()) + 1
        pairs = np.unique(other[both] * width + codes[both])
        others = len(np.unique(pairs // width))
        if len(pairs) <= others * (1 + 1 / _EXCEPTIONS) and others < fewest:
            follows, fewest = place, others
            repeats = Repeats.of(np.unique(pairs % width, return_counts=True)[1])
    return FakeSet(columns=members, repeats=repeats, follows=follows)
