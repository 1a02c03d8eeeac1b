"""Changes of a dataset by its owner: its name and so on, who may read it, and types and roles of its columns."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import logs
from servicekit.errors import InvalidRequest, Violation
from servicekit.form_faults import conclude
from servicekit.object_store import ObjectStore, StoredObject
from servicekit.quota import StorageQuota
from servicekit.timestamps import utc_now
from servicekit.validation import validated
from services.dataset import events, publishing, repository, telling
from services.dataset.columns import Column
from services.dataset.errors import DatasetChanged, DatasetNotReady
from services.dataset.ingesting import table_key
from services.dataset.ingestion.faults import TypesDontFit
from services.dataset.ingestion.tasks import Outcome
from services.dataset.inheritance import inherit
from services.dataset.inputs import ColumnChange, DatasetChange, Input
from services.dataset.models import Dataset, Document, Version, loose_objects
from services.dataset.personal_data.corrections import corrected
from services.dataset.publishing import held_by
from services.dataset.repository import View
from services.dataset.retyping import Planned, Retyper, key_violations, plan, type_violations, with_roles
from services.dataset.states import Stage, State, Visibility

InputT = TypeVar("InputT", bound=Input)

log = structlog.get_logger(__name__)

# A table that was made but not named by a version by then never will be.
_TABLES_KEPT = timedelta(days=1)


class _Table(NamedTuple):
    """A table made anew and stored."""

    key: str
    stored: StoredObject
    outcome: Outcome
    warnings: tuple[str, ...]


class _Wanted(NamedTuple):
    """What is to be written, checked."""

    change: DatasetChange
    confirm_personal_data: bool
    columns: Sequence[ColumnChange] = ()
    planned: Planned | None = None
    table: "_Table | None" = None


class Updates:
    """Changes datasets."""

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], store: ObjectStore, quota: StorageQuota, retyper: Retyper
    ) -> None:
        self._sessions = sessions
        self._quota = quota
        self._store = store
        self._retyper = retyper

    async def update(
        self,
        owner_id: UUID,
        dataset_id: UUID,
        fields: Mapping[str, Any],
        columns: Sequence[Mapping[str, Any]],
        *,
        confirm_personal_data: bool = False,
    ) -> View:
        """Changes what is given of an owner's dataset; columns are those of its latest version.

        Other types make another table, so they make the next version, from the same file: a version never changes.

        Raises:
            DatasetNotFound: the owner has no such dataset.
            NotTheOwner: it is somebody else's.
            DatasetNotReady: columns are to change, and the latest version has no table.
            DatasetChanged: another call has changed the columns meanwhile.
            PersonalDataFound: it is to be public with personal data, which nobody confirms.
            InvalidRequest: everything that is wrong.
        """
        async with self._sessions() as session:
            view = await repository.find_own(session, owner_id, dataset_id)
        violations: list[Violation] = []
        change = _read(DatasetChange, fields, "", violations) or DatasetChange()
        changes = [_read(ColumnChange, column, f"columns.{index}", violations) for index, column in enumerate(columns)]
        understood = [column for column in changes if column is not None]
        if not columns or len(understood) < len(columns):
            conclude(violations)
            return await self._write(owner_id, view, _Wanted(change, confirm_personal_data))
        if view.version.state is not State.READY:
            raise DatasetNotReady(dataset_id, view.version.state)
        planned = plan(columns_of(view.version), understood)
        violations += planned.violations
        violations += corrected(view.dataset.personal_data_by_hand, held_by(*view), understood).violations
        key = table_key(view.version)
        try:
            table = await self._checked_table(owner_id, view.version, planned, understood, violations, key)
            return await self._write(owner_id, view, _Wanted(change, confirm_personal_data, understood, planned, table))
        except BaseException:
            if planned.retypes:
                await asyncio.shield(loose_objects.remove_if_loose(self._sessions, self._store, key))
            raise

    async def _checked_table(
        self,
        owner_id: UUID,
        version: Version,
        planned: Planned,
        changes: Sequence[ColumnChange],
        violations: list[Violation],
        key: str,
    ) -> "_Table | None":
        """Checks the columns against every value; the table made anew and stored, where types change.

        Raises:
            InvalidRequest: something is wrong with the columns, or was wrong before.
        """
        async with AsyncExitStack() as stack:
            outcome: Outcome | None = None
            if planned.retypes:
                try:
                    outcome = await stack.enter_async_context(self._retyper.made(version, planned.columns))
                except TypesDontFit as error:
                    violations += type_violations(error, changes)
            violations += key_violations(planned.columns, changes, await self._profile(version, outcome))
            conclude(violations)
            return await self._stored(owner_id, version, outcome, key) if outcome else None

    async def _profile(self, version: Version, outcome: Outcome | None) -> Document:
        if outcome is not None:
            return outcome.profile
        async with self._sessions() as session:
            return await repository.profile_of(session, version)

    async def _stored(self, owner_id: UUID, version: Version, outcome: Outcome, key: str) -> "_Table":
        async with self._sessions.begin() as session:
            await self._quota.check(session, owner_id, outcome.table.stat().st_size)
            await loose_objects.loosen(session, [key], utc_now() + _TABLES_KEPT)
            before = await repository.latest_ready(session, version.dataset_id, before=version.number)
        stored = await self._store.put_file(key, outcome.table)
        differences = inherit(columns_of(before), outcome.columns, outcome.profile).warnings if before else ()
        return _Table(key, stored, outcome, (*outcome.notes, *differences))

    async def _write(self, owner_id: UUID, view: View, wanted: "_Wanted") -> View:
        async with self._sessions.begin() as session:
            dataset = await repository.lock_own(session, owner_id, view.dataset.id)
            version = await repository.get_version(session, dataset.id, dataset.latest_version)
            if version is None:
                raise DatasetChanged(dataset.id)
            if wanted.planned is not None:
                if version.number != view.version.number or version.columns != view.version.columns:
                    raise DatasetChanged(dataset.id)
                if wanted.table is not None:
                    version = await _next_version(session, dataset, version, wanted.planned, wanted.table)
                else:
                    version.columns = [column.model_dump(mode="json") for column in wanted.planned.columns]
                _correct_personal_data(dataset, version, wanted.columns)
            publishes = wanted.change.visibility is Visibility.PUBLIC and dataset.visibility is not Visibility.PUBLIC
            _change_dataset(dataset, wanted.change)
            if dataset.visibility is Visibility.PUBLIC and (publishes or wanted.planned is not None):
                confirmed_by = owner_id if wanted.confirm_personal_data else None
                await publishing.check_public(session, dataset, confirmed_by=confirmed_by)
            if publishes:
                await telling.dataset_published(session, dataset, version)
            if fields := {*wanted.change.model_dump(exclude_none=True), *(["columns"] if wanted.columns else [])}:
                await telling.dataset_updated(session, dataset, version, fields)
        return View(dataset, version)


def columns_of(version: Version) -> tuple[Column, ...]:
    """A version's columns."""
    return tuple(Column.model_validate(column) for column in version.columns)


def _change_dataset(dataset: Dataset, change: DatasetChange) -> None:
    for name, value in change.model_dump(exclude_none=True).items():
        if name == "visibility" and value is not dataset.visibility:
            log.info("visibility_changed", dataset_id=str(dataset.id), visibility=value)
            if value is not Visibility.PUBLIC:
                publishing.forget_confirmation(dataset)
        setattr(dataset, name, value)
    dataset.updated_at = utc_now()


async def _next_version(
    session: AsyncSession, dataset: Dataset, before: Version, planned: Planned, table: "_Table"
) -> Version:
    """Writes the version of a locked dataset that has the same file, and the table that was made of it anew."""
    dataset.versions_made += 1
    dataset.latest_version = dataset.versions_made
    columns = with_roles(table.outcome.columns, planned.columns)
    version = Version(
        dataset_id=dataset.id,
        number=dataset.versions_made,
        state=State.READY,
        request_id=logs.request_id(),
        source_key=before.source_key,
        source_name=before.source_name,
        source_bytes=before.source_bytes,
        source_sha256=before.source_sha256,
        source_format=before.source_format,
        table_key=table.key,
        table_bytes=table.stored.size,
        table_sha256=table.stored.sha256,
        row_count=before.row_count,
        columns=[column.model_dump(mode="json") for column in columns],
        warnings=list(table.warnings),
        profile=table.outcome.profile,
        personal_data=[finding.model_dump(mode="json") for finding in table.outcome.personal_data],
        attempts=0,
        at_work=False,
        losses=0,
        created_at=utc_now(),
    )
    session.add(version)
    await session.flush()
    await events.record(session, dataset, version, Stage.READY, progress=1.0, rows_read=before.row_count)
    await loose_objects.fasten(session, [table.key])
    await telling.version_ready(session, dataset, version, held_by(dataset, version))
    return version


def _correct_personal_data(dataset: Dataset, version: Version, changes: Sequence[ColumnChange]) -> None:
    said, violations = corrected(dataset.personal_data_by_hand, held_by(dataset, version), changes)
    if violations:
        raise InvalidRequest(violations)
    if said != dataset.personal_data_by_hand:
        dataset.personal_data_by_hand = said
        log.info("personal_data_corrected", dataset_id=str(dataset.id), columns=[change.name for change in changes])


def _read(model: type[InputT], values: Mapping[str, Any], prefix: str, violations: list[Violation]) -> InputT | None:
    """What was sent, checked; None if it is wrong, which is added to the violations."""
    try:
        return validated(model, values, prefix)
    except InvalidRequest as error:
        violations += error.violations
        return None
