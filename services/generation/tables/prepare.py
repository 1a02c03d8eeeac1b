"""Makes a learned table, and the plan that leads back, from a source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from servicekit.column_types import ColumnRole, ColumnType
from services.generation.engines.protocol import Failure
from services.generation.fakes.learn import learn_fakes
from services.generation.fakes.plan import FakePlan
from services.generation.fakes.source import FakeSource
from services.generation.tables.categories import Category
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.identifiers import PatternIdentifier, SequenceIdentifier, plain_strings, takes
from services.generation.tables.integers import is_whole
from services.generation.tables.missing import Missing
from services.generation.tables.numbers import RealNumber, WholeNumber
from services.generation.tables.plan import ColumnPlan, Constant, Invented, Maker, Plan
from services.generation.tables.seen import SALT_BYTES
from services.generation.tables.texts import Text

# Fewer rows than this say nothing about how columns hang together.
LEAST_ROWS = 10


@dataclass(frozen=True)
class Prepared:
    """A learned table of the training rows, and the plan that leads back from it.

    The learned table has no columns where all of the source's hold personal data; `rows` is how many there are.
    """

    learned: pa.Table
    plan: Plan
    rows: int


def prepare(
    table: pa.Table,
    columns: Sequence[ColumnSpec],
    *,
    held_out: npt.NDArray[np.bool_],
    seed: int,
    category_limit: int | None = None,
    key: bytes = b"",
) -> Prepared:
    """Prepares the columns of a source for a model.

    Everything is learned from the rows that aren't held out; identifiers and texts of held-out rows are avoided like
    all others. Columns of personal data are never learned, but for where their values are missing; `key` keeps the
    source's values of them from being invented, and from being told. `category_limit` is the engine's. Raises Failure
    (`TABLE_NOT_LEARNABLE`).
    """
    table = _selected(table, columns)
    draws = np.random.default_rng([seed, len(table)])
    training = table.filter(pa.array(~held_out))
    if len(training) < LEAST_ROWS:
        message = f"There are {len(training)} rows to train on; at least {LEAST_ROWS} are needed."
        raise Failure("TABLE_NOT_LEARNABLE", message)
    plans, learned = [], {}
    masks: dict[str, pa.Array] = {}
    personal: dict[str, pa.Array] = {}
    specs = {spec.name: spec for spec in columns}
    for number, field in enumerate(table.schema):
        rows = _Column(_present(table[field.name]), _present(training[field.name]), number, category_limit, draws)
        maker = _maker(specs[field.name], rows)
        name = f"c{number}" if isinstance(maker, WholeNumber | RealNumber | Category) else None
        missing = None
        if rows.training.null_count and not isinstance(maker, Category) and not _is_nothing(maker):
            missing = Missing(name=rows.mask_name, rate=rows.training.null_count / len(training))
            masks[missing.name] = rows.training.is_null().cast(pa.int32())
        if isinstance(maker, Invented):
            personal[field.name] = rows.all
        if name is not None:
            learned[name] = _encoded(maker, rows)
        plans.append(ColumnPlan(name=field.name, maker=maker, learned=name, missing=missing))
    if not learned and not masks and not personal:
        message = "There is nothing to learn: every column is an identifier, free text, or the same in every row."
        raise Failure("TABLE_NOT_LEARNABLE", message)
    plan = Plan(source_schema=table.schema, columns=tuple(plans), fakes=_fakes(personal, specs, key))
    return Prepared(pa.table(learned | masks), plan, len(training))


@dataclass(frozen=True)
class _Column:
    """One column: all its rows, those to train on, and what else its maker may need."""

    all: pa.Array
    training: pa.Array
    number: int
    category_limit: int | None
    draws: np.random.Generator

    @property
    def mask_name(self) -> str:
        """The learned column that says whether a value is missing."""
        return f"m{self.number}"


def _selected(table: pa.Table, columns: Sequence[ColumnSpec]) -> pa.Table:
    """The wanted columns in the table's order, under a schema without notes of whoever wrote the file."""
    wanted = {spec.name for spec in columns}
    absent = sorted(wanted - set(table.column_names))
    if absent:
        raise Failure("TABLE_NOT_LEARNABLE", f"The table has no column {absent[0]!r}.", column=absent[0])
    if len(set(table.column_names)) < table.num_columns:
        raise Failure("TABLE_NOT_LEARNABLE", "Two columns of the table have the same name.")
    table = table.select([name for name in table.column_names if name in wanted])
    return table.cast(pa.schema([field.remove_metadata() for field in table.schema]))


def _present(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, in which what isn't a finite number is missing."""
    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_finite(array), array, pa.scalar(None, array.type))
    return array


def _maker(spec: ColumnSpec, column: _Column) -> Maker:
    """Chooses how a column is made, by what it is for, what it is taken for, and what it holds."""
    present, type_ = column.training.drop_null(), column.training.type
    if pa.types.is_nested(type_) or pa.types.is_union(type_):
        message = f"The column {spec.name!r} holds values of type {type_}, which can't be learned; leave it out."
        raise Failure("TABLE_NOT_LEARNABLE", message, column=spec.name)
    if spec.personal_data is not None and column.all.null_count < len(column.all):
        return Invented()
    if not len(present):
        return Constant(value=pa.array([None], type=type_))
    if spec.role == ColumnRole.PRIMARY_KEY or spec.type == ColumnType.IDENTIFIER:
        return _identifier(spec, column)
    if len(pc.unique(present)) == 1:
        return Constant(value=present.slice(0, 1))
    if spec.type == ColumnType.TEXT and takes(type_) == "pattern":
        return Text.of(plain_strings(column.all.drop_null()), column.draws.bytes(SALT_BYTES))
    if spec.type in {ColumnType.CATEGORICAL, ColumnType.BOOLEAN}:
        return Category.of(column.training, column.category_limit, column.mask_name)
    if is_whole(type_):
        return WholeNumber.of(present)
    if pa.types.is_floating(type_):
        return RealNumber.of(present)
    return Category.of(column.training, column.category_limit, column.mask_name)


def _identifier(spec: ColumnSpec, column: _Column) -> SequenceIdentifier | PatternIdentifier:
    present = column.all.drop_null()
    how = takes(present.type)
    if how == "sequence":
        return SequenceIdentifier.of(present)
    if how == "pattern":
        return PatternIdentifier.of(plain_strings(present), column.draws.bytes(SALT_BYTES))
    message = f"The column {spec.name!r} holds values of type {present.type}, which can't identify a row."
    raise Failure("TABLE_NOT_LEARNABLE", message, column=spec.name)


def _fakes(personal: Mapping[str, pa.Array], specs: Mapping[str, ColumnSpec], key: bytes) -> FakePlan | None:
    """How to invent the columns of personal data; what can't be invented shows now rather than after the training."""
    if not personal:
        return None
    kinds = {
        name: (kind, specs[name].personal_data_locale)
        for name in personal
        if (kind := specs[name].personal_data) is not None
    }
    unique = frozenset(name for name in personal if specs[name].role == ColumnRole.PRIMARY_KEY)
    plan = learn_fakes(personal, kinds, unique, key)
    trial = FakeSource(plan, LEAST_ROWS, 0, key)
    for name, array in personal.items():
        trial.values(name, 0, LEAST_ROWS, array.type)
    return plan


def _is_nothing(maker: Maker) -> bool:
    return isinstance(maker, Constant) and maker.value.null_count > 0


def _encoded(maker: Maker, column: _Column) -> pa.Array:
    """What the model learns of a column. A missing number is one of the present ones, drawn: its mask tells."""
    if isinstance(maker, Category):
        return pa.array(maker.encode(column.training))
    if not isinstance(maker, WholeNumber | RealNumber):
        raise TypeError(maker.kind)
    numbers = np.empty(len(column.training), dtype=np.float64)
    absent = column.training.is_null().to_numpy(zero_copy_only=False)
    numbers[~absent] = maker.encode(column.training.drop_null())
    numbers[absent] = column.draws.choice(numbers[~absent], size=int(absent.sum()))
    return pa.array(numbers)
