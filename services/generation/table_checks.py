"""Whether a table has what a request needs of it: rows, columns, values."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence

from pydantic import JsonValue

from servicekit.column_types import ColumnRole, ColumnType
from servicekit.errors import Violation
from servicekit.personal_data import PersonalKind
from services.generation.requests import JobRequest
from services.generation.source_values import values_not_there
from services.generation.sources import ColumnFacts, Source
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.holdout import training_row_count
from services.generation.tables.prepare import LEAST_ROWS


def check_size(request: JobRequest, source: Source) -> Iterator[Violation]:
    """Whether there is enough to learn from."""
    rows = training_row_count(source.row_count, request.holdout_fraction)
    if rows < LEAST_ROWS:
        yield Violation("dataset_id", f"names a dataset with {rows} rows to train on; at least {LEAST_ROWS} are needed")


def check_columns(request: JobRequest, source: Source, specs: Sequence[ColumnSpec]) -> Iterator[Violation]:
    """What is wrong with the columns that a request names, and with what they would be for.

    `specs` are the columns to learn, with the roles in force.
    """
    types = {spec.name: spec.type for spec in source.columns}
    personal = {spec.name: spec.personal_data for spec in source.columns if spec.personal_data is not None}
    for index, name in enumerate(request.columns):
        if name not in types:
            yield Violation(f"columns.{index}", _unknown(name))
        elif name in request.columns[:index]:
            yield Violation(f"columns.{index}", f"names {name!r} a second time")
    learned = {name: types[name] for name in request.columns or types if name in types}
    yield from _check_roles(request, types, learned)
    if request.target_column in personal:
        yield Violation("target_column", invented(request.target_column, personal[request.target_column]))
    yield from check_sensitive(request.sensitive_columns, types, learned, personal)
    yield from _check_uniqueness(request, source, specs)
    if not request.columns or learned:
        yield from _check_substance(source, specs)
    yield from _check_conditions(request, types, learned, specs)


def check_sensitive(
    names: Sequence[str],
    types: Mapping[str, ColumnType],
    learned: Mapping[str, ColumnType],
    personal: Mapping[str, PersonalKind],
) -> Iterator[Violation]:
    """Whether an attacker could go for these columns: they are learned, and there."""
    for index, name in enumerate(names):
        field = f"sensitive_columns.{index}"
        if name not in learned:
            yield Violation(field, _not_learned(name) if name in types else _unknown(name))
        elif name in personal:
            yield Violation(field, invented(name, personal[name]))
        elif learned[name] in {ColumnType.IDENTIFIER, ColumnType.TEXT}:
            yield Violation(field, f"{name!r} holds identifiers or free text, which nothing predicts")
        elif name in names[:index]:
            yield Violation(field, f"names {name!r} a second time")


def _check_conditions(
    request: JobRequest,
    types: Mapping[str, ColumnType],
    learned: Mapping[str, ColumnType],
    specs: Sequence[ColumnSpec],
) -> Iterator[Violation]:
    """Whether conditions are on columns that take one, and of their types."""
    personal = {spec.name: spec.personal_data for spec in specs if spec.personal_data is not None}
    made = {spec.name for spec in specs if _is_made(spec)}
    for name, value in request.conditions.items():
        if name not in learned:
            yield Violation(f"conditions.{name}", _not_learned(name) if name in types else _unknown(name))
        elif name in personal:
            yield Violation(f"conditions.{name}", invented(name, personal[name]))
        elif name in made:
            yield Violation(f"conditions.{name}", "identifiers and texts are made anew and can't be fixed")
        elif value is not None and not _suits(learned[name], value):
            yield Violation(f"conditions.{name}", f"must be a value for a column of type {learned[name].value}")


def _check_roles(
    request: JobRequest, types: Mapping[str, ColumnType], learned: Mapping[str, ColumnType]
) -> Iterator[Violation]:
    for field, name in (("primary_key", request.primary_key), ("target_column", request.target_column)):
        if name and name not in learned:
            yield Violation(field, _not_learned(name) if name in types else _unknown(name))
    if request.primary_key and request.primary_key == request.target_column:
        yield Violation("target_column", "is the primary key, which nothing predicts")


def _check_uniqueness(request: JobRequest, source: Source, specs: Sequence[ColumnSpec]) -> Iterator[Violation]:
    """Whether the primary key is one."""
    for spec in specs:
        facts = source.facts.get(spec.name)
        if spec.role is not ColumnRole.PRIMARY_KEY or facts is None:
            continue
        wrong = source.row_count - facts.distinct_count
        if wrong:
            whose = "" if request.primary_key else f" (the dataset's, {spec.name!r})"
            fault = f"must be unique{whose}: {wrong} of {source.row_count} rows have another row's value, or none"
            yield Violation("primary_key", fault)


def _check_substance(source: Source, specs: Sequence[ColumnSpec]) -> Iterator[Violation]:
    """Whether a model could learn anything: more than identifiers, free texts, and the same in every row."""
    if specs and not any(_is_learnable(spec, source.facts.get(spec.name)) for spec in specs):
        fault = "leaves nothing to learn: every column is an identifier, free text, or the same in every row"
        yield Violation("columns", fault)


def _is_learnable(spec: ColumnSpec, facts: ColumnFacts | None) -> bool:
    if spec.personal_data is not None or facts is None:
        return True  # to invent is enough; and what isn't known shows later
    if facts.missing_count and facts.distinct_count:
        return True  # where values are missing, at least
    return not _is_made(spec) and facts.distinct_count > 1


def _is_made(spec: ColumnSpec) -> bool:
    """Whether a column's values are made anew instead of learned."""
    return spec.role is ColumnRole.PRIMARY_KEY or spec.type in {ColumnType.IDENTIFIER, ColumnType.TEXT}


async def check_values(
    request: JobRequest, source: Source, specs: Sequence[ColumnSpec], besides: Collection[str]
) -> list[Violation]:
    """Whether the table has the values that conditions ask for, but for fields that are wrong anyhow.

    Raises:
        Unavailable: the table can't be read just now.
    """
    wanted = {
        spec.name: request.conditions[spec.name]
        for spec in specs
        if spec.name in request.conditions and f"conditions.{spec.name}" not in besides
    }
    if not wanted:
        return []
    categories = {spec.name for spec in specs if spec.type in {ColumnType.CATEGORICAL, ColumnType.BOOLEAN}}
    faults = await asyncio.to_thread(values_not_there, source, wanted, categories)
    return [Violation(f"conditions.{name}", fault) for name, fault in faults.items()]


def _unknown(name: str) -> str:
    return f"the dataset has no column {name!r}"


def _not_learned(name: str) -> str:
    return f"{name!r} is not among the columns to learn"


def invented(name: str, kind: str) -> str:
    """Why nothing can be asked of a column of personal data."""
    return f"{name!r} holds personal data ({kind}), which is never learned: its values are invented"


def _suits(column_type: ColumnType, value: JsonValue) -> bool:
    """Whether a value could stand in a column; whether it does only training can tell."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if column_type in {ColumnType.INTEGER, ColumnType.FLOAT}:
        return is_number
    if column_type is ColumnType.BOOLEAN:
        return isinstance(value, bool)
    if column_type is ColumnType.CATEGORICAL:  # of whatever the source has: strings, numbers, booleans
        return isinstance(value, str | int | float)
    return isinstance(value, str)
