"""Turns learned rows back into rows of the source."""

import numpy as np
import pyarrow as pa

from services.generation.fakes.source import FakeSource
from services.generation.tables.categories import Category
from services.generation.tables.identifiers import PatternIdentifier, PatternSource, SequenceIdentifier
from services.generation.tables.numbers import RealNumber, WholeNumber
from services.generation.tables.plan import ColumnPlan, Conditions, Constant, Invented, Plan


class Restorer:
    """Restores the batches of one sampling, in order: identifiers are unique over all of them."""

    def __init__(self, plan: Plan, rows: int, seed: int, conditions: Conditions, key: bytes = b"") -> None:
        """`rows` is how many will be restored in all; `key` is the one that the source was prepared with."""
        self._plan = plan
        self._conditions = conditions
        self._draws = np.random.default_rng([seed, len(plan.columns)])
        self._patterns = {
            column.name: PatternSource(column.maker, rows)
            for column in plan.columns
            if isinstance(column.maker, PatternIdentifier)
        }
        self._fakes = FakeSource(plan.fakes, rows, seed, key) if plan.fakes else None
        self._done = 0

    def restore(self, learned: pa.Table) -> pa.Table:
        """The rows, under exactly the source's schema."""
        fields = zip(self._plan.columns, self._plan.source_schema, strict=True)
        arrays = [_allowed(self._column(column, field.type, learned), field) for column, field in fields]
        self._done += len(learned)
        return pa.Table.from_arrays(arrays, schema=self._plan.source_schema)

    def _column(self, column: ColumnPlan, type_: pa.DataType, learned: pa.Table) -> pa.Array:
        rows = len(learned)
        if column.name in self._conditions.values:
            fixed = self._conditions.values[column.name]
            return fixed.take(pa.array(np.zeros(rows, dtype=np.int64)))
        made = self._made(column, type_, learned)
        if column.missing is None:
            return made
        said = learned[column.missing.name].to_numpy() == 1
        present = np.arange(rows)
        return made.take(pa.array(present, mask=column.missing.corrected(said, self._draws)))

    def _made(self, column: ColumnPlan, type_: pa.DataType, learned: pa.Table) -> pa.Array:
        maker, rows = column.maker, len(learned)
        if isinstance(maker, Constant):
            return maker.value.take(pa.array(np.zeros(rows, dtype=np.int64)))
        if isinstance(maker, Invented):
            if self._fakes is None:
                raise TypeError(column.name)
            return self._fakes.values(column.name, self._done, rows, type_)
        if isinstance(maker, SequenceIdentifier):
            return maker.values(self._done, rows, type_)
        if isinstance(maker, PatternIdentifier):
            return _strings(self._patterns[column.name].values(rows, self._draws), type_)
        if isinstance(maker, WholeNumber | RealNumber):
            return maker.decode(learned[column.learned].to_numpy(), type_)
        if isinstance(maker, Category):
            return maker.decode(learned[column.learned].to_numpy(), type_, self._draws)
        return _strings(maker.values(rows, self._draws), type_)


def _allowed(array: pa.Array, field: pa.Field) -> pa.Array:
    """What was no finite number is missing, or no number where nothing may be missing."""
    if array.null_count and not field.nullable and pa.types.is_floating(field.type):
        return array.fill_null(pa.scalar(float("nan"), field.type))
    return array


def _strings(values: list[str], type_: pa.DataType) -> pa.Array:
    plain = pa.array(values, type=pa.large_string())
    return plain.dictionary_encode().cast(type_) if pa.types.is_dictionary(type_) else plain.cast(type_)
