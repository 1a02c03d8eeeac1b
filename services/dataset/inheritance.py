"""What a new version takes over from the one before, and what is different about it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from servicekit.column_types import ColumnRole, ColumnType
from services.dataset.columns import Column
from services.dataset.ingestion.faults import named
from services.dataset.models import Document


class Inherited(NamedTuple):
    """The columns of a new version with the roles taken over, and what its owner should know."""

    columns: tuple[Column, ...]
    warnings: tuple[str, ...]


def types_by_hand(columns: Sequence[Column]) -> dict[str, ColumnType]:
    """The types that were set by hand, by column."""
    return {column.name: column.type for column in columns if column.type is not column.inferred_type}


def inherit(before: Sequence[Column], columns: Sequence[Column], profile: Document) -> Inherited:
    """Gives a new version's columns the roles they had in the version before, where they still can have them."""
    old = {column.name: column for column in before}
    taken, warnings = [], list(_differences(old, {column.name: column for column in columns}))
    for column in columns:
        role = old[column.name].role if column.name in old else ColumnRole.FEATURE
        if role is ColumnRole.PRIMARY_KEY:
            fault = primary_key_fault(column.name, profile)
            if fault:
                warnings.append(f"Column {named([column.name])} is no primary key any more: it {fault}.")
                role = ColumnRole.FEATURE
        taken.append(column.model_copy(update={"role": role}))
    return Inherited(tuple(taken), tuple(warnings))


def primary_key_fault(name: str, profile: Document) -> str:
    """Why a column can't be the primary key, told by the table's profile; empty if it can."""
    found = next(column for column in profile["columns"] if column["name"] == name)
    missing, repeated = found["missing_count"], found["count"] - found["distinct_count"]
    faults = [f"{count:,} {what}" for count, what in ((repeated, "duplicates"), (missing, "missing values")) if count]
    return f"has {' and '.join(faults)}; a primary key has another value in every row" if faults else ""


def _differences(old: Mapping[str, Column], new: Mapping[str, Column]) -> list[str]:
    gone = [name for name in old if name not in new]
    added = [name for name in new if name not in old]
    retyped = [
        f"“{name}” is {new[name].type}, not {column.type}"
        for name, column in old.items()
        if name in new and new[name].type is not column.type
    ]
    return [
        *([f"Columns of the version before are missing: {named(gone)}."] if gone else []),
        *([f"Columns are new: {named(added)}."] if added else []),
        *([f"Types differ from the version before: {'; '.join(retyped[:5])}."] if retyped else []),
    ]
