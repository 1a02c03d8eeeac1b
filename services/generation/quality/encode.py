"""Makes a comparison of Arrow tables."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from servicekit.column_types import ColumnRole, ColumnType
from services.generation.engines.protocol import Failure
from services.generation.quality.arrays import Unreadable, as_codes, as_labels, as_numbers, as_seconds, kind_of
from services.generation.quality.tables import Codes, Column, Comparison, Kind, Numbers, Table
from services.generation.quality.targets import by_predictability, usable
from services.generation.tables.columns import ColumnSpec

# Columns that the attribute inference goes for where none are named.
SENSITIVE_COLUMNS = 3
_NAMED = 10  # columns in a note


class _Encoded(NamedTuple):
    column: Column
    values: list[Numbers | Codes]  # a table each


def encode(
    training: pa.Table,
    holdout: pa.Table | None,
    synthetic: pa.Table,
    columns: Sequence[ColumnSpec],
    *,
    target: str = "",
    sensitive: Sequence[str] = (),
    seed: int = 0,
    stratified_by: str = "",
) -> Comparison:
    """Makes tables comparable.

    `columns` are those of the training table to compare. Personal data, identifiers, primary keys, free texts and
    nested values are left out; so are columns that a table hasn't, which a note names. A table whose types differ (it
    came from a CSV file, say) is read as what the training table holds.

    Without a `target` it is the column of that role, else the one that the others tell most about; without
    `sensitive` columns those are the three that the others tell most about. `stratified_by` is the column by whose
    values the holdout was drawn in strata.

    Raises Failure: `TABLE_NOT_COMPARABLE`, naming every column whose values can't be read as the training table's, or
    if no column can be compared; `COLUMN_NOT_COMPARED` for a target or sensitive columns that aren't among those.
    """
    tables = [training, synthetic] if holdout is None else [training, synthetic, holdout]
    notes: list[str] = []
    comparable = _comparable(tables, columns, notes)
    encoded = _encoded(tables, comparable)
    if not encoded:
        raise Failure("TABLE_NOT_COMPARABLE", "The tables have no column in common that can be compared.")
    known = tuple(each.column for each in encoded)
    train, made, *kept = (Table(known, tuple(each.values[place] for each in encoded)) for place in range(len(tables)))
    names = {column.name for column in known}
    _refuse_unknown("target", [target] if target else [], names)
    _refuse_unknown("sensitive", sensitive, names)
    ranked = by_predictability(train, seed) if not (target and sensitive) else ()
    by_role = next((spec.name for spec in columns if spec.role == ColumnRole.TARGET), "")
    chosen, is_chosen = _target(train, target, by_role, ranked, notes)
    return Comparison(
        training=train,
        holdout=kept[0] if kept else None,
        synthetic=made,
        target=chosen,
        sensitive=tuple(dict.fromkeys(sensitive)) or ranked[:SENSITIVE_COLUMNS],
        seed=seed,
        target_chosen=is_chosen,
        notes=tuple(notes),
        stratified_by=stratified_by if stratified_by in names else "",
    )


def _comparable(tables: Sequence[pa.Table], columns: Sequence[ColumnSpec], notes: list[str]) -> list[ColumnSpec]:
    """The columns that are compared; notes say which aren't, and why."""
    left_out: dict[str, list[str]] = {}
    comparable = []
    for spec in columns:
        why = _why_left_out(spec, tables)
        if why:
            left_out.setdefault(why, []).append(spec.name)
        else:
            comparable.append(spec)
    notes.extend(f"Not compared, {why}: {_list(names)}." for why, names in left_out.items())
    added = sorted(set(tables[1].column_names) - {spec.name for spec in columns} - set(tables[0].column_names))
    if added:
        notes.append(f"Not compared, since the real table hasn't got them: {_list(added)}.")
    return comparable


def _why_left_out(spec: ColumnSpec, tables: Sequence[pa.Table]) -> str:
    training, synthetic, *holdout = tables
    if training.column_names.count(spec.name) != 1:
        return "since the real table hasn't got them once"
    if spec.personal_data is not None:
        return "since they hold personal data, which is invented anew"
    if spec.role == ColumnRole.PRIMARY_KEY or spec.type == ColumnType.IDENTIFIER:
        return "since they identify rows"
    if spec.type == ColumnType.TEXT:
        return "since they hold free text"
    if kind_of(training.schema.field(spec.name).type, spec.type) is None:
        return "since they hold nested or binary values"
    if synthetic.column_names.count(spec.name) != 1:
        return "since the synthetic table hasn't got them once"
    if any(table.column_names.count(spec.name) != 1 for table in holdout):
        return "since the rows never seen haven't got them once"
    return ""


def _encoded(tables: Sequence[pa.Table], columns: Sequence[ColumnSpec]) -> list[_Encoded]:
    encoded, unreadable = [], {}
    for spec in columns:
        kind = kind_of(tables[0].schema.field(spec.name).type, spec.type)
        try:
            encoded.append(_column(spec.name, kind or Kind.CATEGORY, [table[spec.name] for table in tables]))
        except Unreadable as error:
            unreadable[spec.name] = str(error)
    if unreadable:
        told = "; ".join(f"{name!r} {why}" for name, why in list(unreadable.items())[:_NAMED])
        more = f"; and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else ""
        message = f"The tables can't be compared: {told}{more}."
        raise Failure("TABLE_NOT_COMPARABLE", message, columns=", ".join(unreadable))
    return encoded


def _column(name: str, kind: Kind, columns: Sequence[pa.ChunkedArray]) -> _Encoded:
    """One column of all tables, of which the first is the training table."""
    if kind is Kind.NUMBER:
        return _Encoded(Column(name, kind), [as_numbers(column) for column in columns])
    if kind is Kind.DATE:
        return _Encoded(Column(name, kind), [as_seconds(column) for column in columns])
    texts = [as_labels(column, columns[0].type) for column in columns]
    known = pc.unique(pa.chunked_array(texts).drop_null())
    labels = tuple(known.to_pylist())
    return _Encoded(Column(name, kind, labels), [as_codes(text, known) for text in texts])


def _target(
    training: Table, given: str, by_role: str, ranked: Sequence[str], notes: list[str]
) -> tuple[str | None, bool]:
    """The target column, if any will do, and whether it was chosen here."""
    for name in (given, by_role):
        place = next((place for place, column in enumerate(training.columns) if column.name == name), None)
        if place is not None and usable(training.columns[place], training.values[place]):
            return name, False
        if name:
            notes.append(
                f"The target column {name!r} can't be predicted: it isn't compared, has too few rows or values, or too "
                "many classes."
            )
        if given:
            return None, False
    return (ranked[0], True) if ranked else (None, False)


def _refuse_unknown(what: str, wanted: Sequence[str], names: set[str]) -> None:
    unknown = [name for name in wanted if name not in names]
    if unknown:
        message = f"The {what} {'column' if len(unknown) == 1 else 'columns'} {_list(unknown)} can't be compared."
        raise Failure("COLUMN_NOT_COMPARED", message, columns=", ".join(unknown))


def _list(names: Sequence[str]) -> str:
    told = ", ".join(repr(name) for name in names[:_NAMED])
    return f"{told} and {len(names) - _NAMED} more" if len(names) > _NAMED else told
