"""What the dataset service tells the platform's log, each in the transaction of its change."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import outbox
from servicekit.event_kinds import EventKind
from servicekit.events import happened, version_id
from services.dataset.models import Dataset, Version
from services.dataset.personal_data.in_force import Held

_DATASET = "dataset"


async def version_ready(session: AsyncSession, dataset: Dataset, version: Version, held: Collection[Held]) -> None:
    """A table is there to be read; `held` is what is in force of its columns."""
    kind = EventKind.DATASET_UPLOADED if version.number == 1 else EventKind.DATASET_VERSION_ADDED
    facts = {
        "rows": version.row_count,
        "columns": len(version.columns),
        "format": version.source_format,
        "bytes": version.source_bytes,
        "source_sha256": version.source_sha256,
        "table_bytes": version.table_bytes,
        "table_sha256": version.table_sha256,
    }
    await _tell(session, kind, dataset, version, facts, personal_facts={"file_name": version.source_name})
    kinds = [each.kind.value for each in held if each.kind is not None]
    if kinds:
        found = {"kinds": sorted(set(kinds)), "columns": len(kinds)}
        await _tell(session, EventKind.DATASET_PERSONAL_DATA_FOUND, dataset, version, found)


async def version_failed(session: AsyncSession, dataset: Dataset, version: Version) -> None:
    """A file can't be read."""
    facts = {
        "reason": version.error_reason,
        "bytes": version.source_bytes,
        "source_sha256": version.source_sha256,
        "format": version.source_format or None,
    }
    await _tell(session, EventKind.DATASET_FAILED, dataset, version, facts)


async def dataset_updated(session: AsyncSession, dataset: Dataset, version: Version, fields: Collection[str]) -> None:
    """Details of a dataset or its columns have changed; `fields` are what was given."""
    await _tell(session, EventKind.DATASET_UPDATED, dataset, version, {"fields": sorted(fields)})


async def dataset_published(session: AsyncSession, dataset: Dataset, version: Version) -> None:
    """Everybody may read a dataset; `personal_data` says what kinds of it were confirmed to be readable, too."""
    confirmed = (dataset.personal_data_confirmed or {}).get("columns", {})
    facts = {"personal_data": sorted(set(confirmed.values()))}
    await _tell(session, EventKind.DATASET_PUBLISHED, dataset, version, facts)


async def dataset_deleted(session: AsyncSession, dataset: Dataset) -> None:
    """A dataset is gone, with all its versions."""
    event = happened(EventKind.DATASET_DELETED, _DATASET, dataset.id, owner_id=dataset.owner_id)
    await outbox.add(session, event)


async def dataset_exported(session: AsyncSession, dataset: Dataset, version: Version, how: Mapping[str, Any]) -> None:
    """A table leaves as a file."""
    await _tell(session, EventKind.DATASET_EXPORTED, dataset, version, how)


async def _tell(
    session: AsyncSession,
    kind: EventKind,
    dataset: Dataset,
    version: Version,
    attributes: Mapping[str, Any],
    *,
    personal_facts: Mapping[str, Any] | None = None,
) -> None:
    event = happened(
        kind,
        _DATASET,
        dataset.id,
        owner_id=dataset.owner_id,
        related={"dataset_version_id": version_id(dataset.id, version.number)},
        attributes={"version": version.number, **attributes},
        personal={"name": dataset.name, **(personal_facts or {})},
    )
    await outbox.add(session, event)
