"""A whole table's codec: one for each column that is learnt, new identifiers for those that aren't."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mirage_engine.codec.categories import CategoryCodec, RareLevels, is_category
from mirage_engine.codec.column import UNKNOWN, ColumnCodec, Leaves, Range
from mirage_engine.codec.digits import Digits
from mirage_engine.codec.identifiers import identifiers, is_identifier
from mirage_engine.codec.numbers import NumberCodec, is_number
from mirage_engine.codec.types import entries_in_order, plain_type, unwrapped, wrapped
from mirage_engine.errors import TableRefused


@dataclass(frozen=True)
class CodecSettings:
    """How a table is read.

    `exclude` names columns to leave out altogether; `identifiers` those to fill with new identifiers. A category's
    levels that fewer than `rare_rows` rows have are protected as `rare_levels` says. A number's cells hold about
    `rows_per_cell` rows at least, unless its values repeat more often than that.
    """

    exclude: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    rare_rows: int = 5
    rare_levels: RareLevels = "merge"
    rows_per_cell: int = 5


@dataclass(frozen=True, eq=False)
class LearntColumn:
    """A column that a model learns; `entries` are a dictionary type's, in order."""

    field: pa.Field
    codec: ColumnCodec
    entries: pa.Array | None

    @property
    def name(self) -> str:
        """The column's name."""
        return str(self.field.name)

    @cached_property
    def digits(self) -> Digits:
        """How the column's leaves are written."""
        return Digits(self.codec.regular, self.codec.leaves, self.codec.ordered)

    def encode(self, values: pa.ChunkedArray) -> Leaves:
        """The leaf of each value of the column's own type; shape (rows,)."""
        chunks = [self.codec.encode(unwrapped(chunk)) for chunk in values.chunks]
        return np.concatenate(chunks) if chunks else np.empty(0, dtype=np.int32)

    def decode(self, leaves: Leaves, raw: NDArray[np.uint64], within: Range | None = None) -> pa.Array:
        """A value of each leaf, of the column's own type."""
        return wrapped(self.codec.decode(leaves, raw, within), self.field.type, self.entries)


class TableCodec:
    """Tables of one schema as leaves, one a learnt column, and back."""

    def __init__(self, schema: pa.Schema, columns: Mapping[int, LearntColumn]) -> None:
        """`columns` are the learnt ones by their place in the schema; the others get identifiers."""
        self.schema = schema
        self.columns = list(columns.values())
        self._learnt = dict(columns)

    @classmethod
    def fit(cls, table: pa.Table, settings: CodecSettings) -> "TableCodec":
        """Learns the vocabulary of every column. Raises TableRefused naming each column that can't be learnt."""
        kept = [place for place, name in enumerate(table.column_names) if name not in settings.exclude]
        schema = pa.schema([table.schema.field(place) for place in kept], table.schema.metadata)
        _check(table, schema, settings)
        columns = {}
        for place, source in enumerate(kept):
            field = schema.field(place)
            if field.name not in settings.identifiers:
                columns[place] = _learn(field, table.column(source), settings)
        return cls(schema, columns)

    @cached_property
    def sizes(self) -> list[int]:
        """How many values each digit of a row can have, column by column, coarse before fine."""
        return [size for column in self.columns for size in column.digits.sizes]

    @property
    def words_per_row(self) -> int:
        """How many random words `decode` needs for a row."""
        return len(self.schema)

    def column(self, name: str) -> LearntColumn | None:
        """The learnt column of a name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    def encode(self, table: pa.Table, *, partial: bool = False) -> Leaves:
        """The leaves of a table's rows; shape (rows, learnt columns), UNKNOWN for what the source couldn't have held.

        Columns are found by name. If `partial`, those that aren't there are UNKNOWN. Raises TableRefused naming each
        column that is missing or of a type that can't be read as the source's.
        """
        leaves = np.full((len(table), len(self.columns)), UNKNOWN, dtype=np.int32, order="F")
        for place, found in self.encoded_columns(table, partial=partial):
            leaves[:, place] = found
        return leaves

    def encoded_columns(self, table: pa.Table, *, partial: bool = False) -> Iterator[tuple[int, Leaves]]:
        """The same column by column, with each one's place among the learnt ones, for tables that fill the memory."""
        problems: dict[str, str] = {}
        seen: dict[str, int] = {}
        for place, column in enumerate(self.columns):
            found = table.schema.get_all_field_indices(column.name)
            nth = seen[column.name] = seen.get(column.name, -1) + 1
            if nth >= len(found):
                if not partial:
                    problems[column.name] = "the column is missing"
                continue
            values = table.column(found[nth])
            try:
                if values.type != column.field.type:
                    values = values.cast(column.field.type)
                leaves = column.encode(values)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                problems[column.name] = f"values of type {values.type} can't be read as {column.field.type}"
            else:
                yield place, leaves
        if problems:
            raise TableRefused(problems)

    def decode(
        self, leaves: Leaves, raw: NDArray[np.uint64], first_row: int = 0, within: Mapping[int, Range] | None = None
    ) -> pa.RecordBatch:
        """Rows of leaves; `raw` are random words of shape (rows, words_per_row).

        `first_row` is the number of the first row, for identifiers; `within` keeps learnt columns, by their place among
        the learnt ones, in a range.
        """
        arrays = []
        learnt = 0
        for place, field in enumerate(self.schema):
            chance = raw[:, place]
            if place in self._learnt:
                bounds = (within or {}).get(learnt)
                arrays.append(self._learnt[place].decode(leaves[:, learnt], chance, bounds))
                learnt += 1
            else:
                arrays.append(wrapped(identifiers(plain_type(field.type), first_row, chance), field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def split(self, leaves: Leaves) -> NDArray[np.int64]:
        """Digits of known leaves; shape (rows, digits), digits in the order of `sizes`."""
        digits = [digit for place, column in enumerate(self.columns) for digit in column.digits.split(leaves[:, place])]
        return np.stack(digits, axis=1).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """All there is to it; the schema in Arrow's own format, in base 64."""
        return {
            "schema": base64.b64encode(self.schema.serialize().to_pybytes()).decode(),
            "columns": {
                str(place): {
                    **column.codec.to_json(),
                    "entries": None if column.entries is None else column.entries.to_pylist(),
                }
                for place, column in self._learnt.items()
            },
        }

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> "TableCodec":
        """A codec as it was before `to_json`."""
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(about["schema"])))
        kinds = {"numbers": NumberCodec, "categories": CategoryCodec}
        columns = {}
        for place, column in about["columns"].items():
            field = schema.field(int(place))
            codec: Any = kinds[column["codec"]]
            plain = plain_type(field.type)
            entries = None if column["entries"] is None else pa.array(column["entries"], plain)
            columns[int(place)] = LearntColumn(field, codec.from_json(column, plain), entries)
        return cls(schema, columns)


def _learn(field: pa.Field, values: pa.ChunkedArray, settings: CodecSettings) -> LearntColumn:
    kind = plain_type(field.type)
    plain = _in_one(values, kind)
    if is_number(kind):
        return LearntColumn(field, NumberCodec.fit(plain, settings.rows_per_cell), None)
    codec = CategoryCodec.fit(plain, kind, settings.rare_rows, settings.rare_levels)
    entries = None
    if pa.types.is_dictionary(field.type):
        entries = codec.drawable
        ordered = entries_in_order(values)
        if ordered is not None:
            kept = set(entries.to_pylist())
            told = [entry for entry in ordered.to_pylist() if entry in kept]
            entries = pa.array([*told, *(kept - set(told))], kind)
    return LearntColumn(field, codec, entries)


def _in_one(values: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """A column's plain values as one array; texts with offsets of 64 bits, since there may be more than 2 GiB."""
    wide = pa.large_string() if pa.types.is_string(kind) else pa.large_binary() if pa.types.is_binary(kind) else kind
    chunks = [unwrapped(chunk).cast(wide) for chunk in values.chunks]
    return pa.concat_arrays(chunks) if chunks else pa.nulls(0, wide)


def _check(table: pa.Table, schema: pa.Schema, settings: CodecSettings) -> None:
    problems = dict.fromkeys(_absent(settings.exclude, table.column_names), "there is no such column to exclude")
    problems |= dict.fromkeys(
        _absent(settings.identifiers, schema.names), "there is no such column to make identifiers for"
    )
    for field in schema:
        kind = plain_type(field.type)
        if field.name in settings.identifiers:
            if not is_identifier(kind):
                problems[field.name] = (
                    f"identifiers can be whole numbers or texts, not {field.type}: exclude the column"
                )
        elif not (is_number(kind) or is_category(kind)):
            problems[field.name] = f"values of type {field.type} can't be learnt: flatten or exclude the column"
    if not problems and len(schema) == len([name for name in schema.names if name in settings.identifiers]):
        problems["table"] = "there is no column to learn"
    if len(table) == 0:
        problems["table"] = "there is no row to learn from"
    if problems:
        raise TableRefused(problems)


def _absent(wanted: Iterable[str], there: Iterable[str]) -> list[str]:
    return sorted(set(wanted) - set(there))
