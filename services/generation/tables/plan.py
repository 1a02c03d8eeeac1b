"""How a source table is learned and made again: what a model needs beside itself, without any row of the source."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.generation.engines.protocol import Failure
from services.generation.fakes.plan import FakePlan
from services.generation.tables.categories import Category
from services.generation.tables.identifiers import PatternIdentifier, SequenceIdentifier
from services.generation.tables.missing import Missing
from services.generation.tables.numbers import RealNumber, WholeNumber
from services.generation.tables.stored import ArrowSchema, ArrowValues
from services.generation.tables.texts import Text
from services.generation.tables.values import parse_value


class Constant(BaseModel):
    """A column of one value, which is missing in every row or present in all that aren't missing."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["constant"] = "constant"
    value: ArrowValues
    """One value, perhaps a missing one."""


class Invented(BaseModel):
    """A column of personal data, which the plan's fakes make."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["invented"] = "invented"


Learned = WholeNumber | RealNumber | Category
Maker = Annotated[
    WholeNumber | RealNumber | Category | SequenceIdentifier | PatternIdentifier | Text | Constant | Invented,
    Field(discriminator="kind"),
]


class ColumnPlan(BaseModel):
    """How one column is learned, or made outside of the model.

    `learned` is its name in the learned table, if it is there. `missing` tells of missing values; a category tells of
    its own.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    maker: Maker
    learned: str | None = None
    missing: Missing | None = None


class Conditions(BaseModel):
    """Values that every row is to have: for the model by learned column, and for the restored table by column."""

    model_config = ConfigDict(frozen=True)

    learned: dict[str, float | int]
    values: dict[str, ArrowValues]


class Plan(BaseModel):
    """The columns of a source, in order, with its schema; `fakes` makes those of personal data."""

    model_config = ConfigDict(frozen=True)

    source_schema: ArrowSchema
    columns: tuple[ColumnPlan, ...]
    fakes: FakePlan | None = None

    def learned_names(self) -> list[str]:
        """The learned table's columns, in order."""
        own = [column.learned for column in self.columns if column.learned]
        return own + [column.missing.name for column in self.columns if column.missing]

    def calibrated(self, sample: pa.Table) -> "Plan":
        """With missing rates corrected for a model that made this learned table without conditions."""
        return self.model_copy(update={"columns": tuple(_calibrated(column, sample) for column in self.columns)})

    def has_missing(self) -> bool:
        """Whether any column has missing values that are learned."""
        return any(
            column.missing or (isinstance(column.maker, Category) and column.maker.missing) for column in self.columns
        )

    def conditions(self, wanted: Mapping[str, JsonValue]) -> Conditions:
        """Checks values that every row is to have, by column of the source; None asks for a missing one.

        Raises Failure (`INVALID_CONDITIONS`) for a column that isn't there or can't be fixed, a value of another
        type, and one that the source doesn't have.
        """
        by_name = {column.name: column for column in self.columns}
        learned: dict[str, float | int] = {}
        values: dict[str, pa.Array] = {}
        for name, value in wanted.items():
            if name not in by_name:
                raise _invalid(name, "there is no such column")
            if isinstance(by_name[name].maker, Invented):
                raise _invalid(name, "it holds personal data, which is invented anew and can't be fixed")
            type_ = self.source_schema.field(name).type
            fixed = _missing(by_name[name]) if value is None else _present(by_name[name], value, type_)
            learned |= fixed
            values[name] = pa.array([None], type=type_) if value is None else _as_array(name, value, type_)
        return Conditions(learned=learned, values=values)

    def unmet(self, wanted: Mapping[str, JsonValue]) -> dict[str, str]:
        """Why values that every row is to have can't be had, by column; those that can be are left out."""
        faults = {}
        for name, value in wanted.items():
            try:
                self.conditions({name: value})
            except Failure as failure:
                faults[name] = failure.message
        return faults


def _calibrated(column: ColumnPlan, sample: pa.Table) -> ColumnPlan:
    if column.missing:
        rate = float(np.mean(sample[column.missing.name].to_numpy()))
        return column.model_copy(update={"missing": column.missing.calibrated(rate)})
    if isinstance(column.maker, Category) and column.maker.missing and column.learned:
        rate = float(np.mean(sample[column.learned].to_numpy() == column.maker.codes - 1))
        maker = column.maker.model_copy(update={"missing": column.maker.missing.calibrated(rate)})
        return column.model_copy(update={"maker": maker})
    return column


def _missing(column: ColumnPlan) -> dict[str, float | int]:
    """What to tell the model for a column to be missing."""
    if column.missing:
        return {column.missing.name: 1}
    if isinstance(column.maker, Category) and column.maker.missing and column.learned:
        return {column.learned: column.maker.codes - 1}
    if isinstance(column.maker, Constant) and column.maker.value.null_count:
        return {}
    raise _invalid(column.name, "no value of it is missing")


def _present(column: ColumnPlan, value: JsonValue, type_: pa.DataType) -> dict[str, float | int]:
    """What to tell the model for a column to have a value."""
    fixed: dict[str, float | int] = {column.missing.name: 0} if column.missing else {}
    array = _as_array(column.name, value, type_)
    if isinstance(column.maker, Constant):
        if not array.equals(column.maker.value):
            raise _invalid(column.name, "the source doesn't have this value")
        return fixed
    if not isinstance(column.maker, WholeNumber | RealNumber | Category) or column.learned is None:
        raise _invalid(column.name, "identifiers and texts are made anew and can't be fixed")
    place = column.maker.place(array[0])
    if place is None:
        what = "the source doesn't have this value"
        raise _invalid(column.name, what if isinstance(column.maker, Category) else "it is outside the source's range")
    return fixed | {column.learned: place}


def _as_array(name: str, value: JsonValue, type_: pa.DataType) -> pa.Array:
    try:
        return parse_value(value, type_)
    except ValueError as error:
        raise _invalid(name, str(error)) from error


def _invalid(name: str, why: str) -> Failure:
    return Failure("INVALID_CONDITIONS", f"The condition on {name!r} can't be met: {why}.", column=name)
