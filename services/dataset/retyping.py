"""Types and roles of columns set by hand: checked against every value; where types change the table is made anew."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from servicekit.column_types import ColumnRole
from servicekit.errors import Violation
from servicekit.object_store import ObjectMissing, ObjectStore
from servicekit.workspace import Workspace
from services.dataset.columns import Column
from services.dataset.errors import DatasetNotFound, IngestionFailed
from services.dataset.failures import failure_from
from services.dataset.ingesting import Ingest
from services.dataset.ingestion.faults import Fault, TypesDontFit
from services.dataset.ingestion.tasks import Limits, Outcome, Task
from services.dataset.inheritance import primary_key_fault, types_by_hand
from services.dataset.inputs import ColumnChange
from services.dataset.models import Document, Version

_ALONE = {ColumnRole.PRIMARY_KEY: "primary key", ColumnRole.TARGET: "target"}


class Planned(NamedTuple):
    """The columns as they are to be, as far as that can be told without the table, and what is wrong with that."""

    columns: tuple[Column, ...]
    violations: list[Violation]
    retypes: bool  # whether the table has to be made anew


def plan(columns: Sequence[Column], changes: Sequence[ColumnChange]) -> Planned:
    """Applies changes to a version's columns."""
    positions = {column.name: position for position, column in enumerate(columns)}
    planned = list(columns)
    violations = []
    twice = {name for name, count in Counter(change.name for change in changes).items() if count > 1}
    for index, change in enumerate(changes):
        if change.name not in positions:
            violations.append(Violation(_path(index, "name"), f"the dataset has no column called {change.name!r}"))
        elif change.name in twice:
            violations.append(Violation(_path(index, "name"), f"column {change.name!r} is named more than once"))
        else:
            given = change.model_dump(include={"type", "role"}, exclude_none=True)
            position = positions[change.name]
            planned[position] = planned[position].model_copy(update=given)
    for role, called in _ALONE.items():
        holders = [column.name for column in planned if column.role is role]
        if len(holders) > 1:
            wrong = [index for index, change in enumerate(changes) if change.role is role]
            fault = f"only one column can be the {called}, not {' and '.join(map(repr, holders[:3]))}"
            violations += [Violation(_path(index, "role"), fault) for index in wrong]
    retypes = any(new.type is not old.type for new, old in zip(planned, columns, strict=True))
    return Planned(tuple(planned), violations, retypes)


def key_violations(planned: Sequence[Column], changes: Sequence[ColumnChange], profile: Document) -> list[Violation]:
    """What is wrong with a primary key, told by the profile of the table as it is to be."""
    places = {change.name: index for index, change in enumerate(changes)}
    return [
        Violation(_path(places[column.name], "role"), f"column {column.name!r} {fault}")
        for column in planned
        if column.role is ColumnRole.PRIMARY_KEY and column.name in places
        if (fault := primary_key_fault(column.name, profile))
    ]


def type_violations(error: TypesDontFit, changes: Sequence[ColumnChange]) -> list[Violation]:
    """The types that don't hold every value, field by field."""
    places = {change.name: index for index, change in enumerate(changes)}
    return [
        Violation(_path(places[name], "type") if name in places else "columns", f"column {name!r}: {fault}")
        for name, fault in error.faults.items()
    ]


class Retyper:
    """Makes a version's table anew, from the file as it was uploaded."""

    def __init__(self, store: ObjectStore, ingest: Ingest, workspace: Workspace, limits: Limits, slots: int) -> None:
        self._store = store
        self._ingest = ingest
        self._workspace = workspace
        self._limits = limits
        self._slots = asyncio.Semaphore(slots)

    @asynccontextmanager
    async def made(self, version: Version, columns: Sequence[Column]) -> AsyncIterator[Outcome]:
        """The table with these columns' types, as a file while the block runs.

        Raises:
            TypesDontFit: types don't hold every value.
            IngestionFailed: the file can't be read any more.
            DatasetNotFound: the dataset was deleted meanwhile.
        """
        async with self._slots:
            with self._workspace.directory() as directory:
                source = directory / "source"
                try:
                    await self._store.get_file(version.source_key, source)
                except ObjectMissing:
                    raise DatasetNotFound(version.dataset_id) from None
                task = Task(source=source, directory=directory, limits=self._limits, required=types_by_hand(columns))
                try:
                    outcome = await self._ingest(task, _untold)
                except Fault as error:
                    raise IngestionFailed(*failure_from(error)) from None
                yield outcome


def with_roles(made: Sequence[Column], planned: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of a table that was made anew, with the roles that were planned."""
    roles = {column.name: column.role for column in planned}
    return tuple(column.model_copy(update={"role": roles[column.name]}) for column in made)


def _path(index: int, field: str) -> str:
    return f"columns.{index}.{field}"


def _untold(_stage: str, _share: float, _rows: int) -> None:
    """Nobody watches: the caller waits for the answer."""
