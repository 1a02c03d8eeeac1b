"""The records behind an object: from the upload to the last download."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.activity import audit_repository as repository
from services.activity.errors import ProvenanceNotFound
from services.activity.models import Record

LARGEST_CHAIN = 1_000
"""Records that are shown of one object."""

_LONGEST_ID = 200  # characters; of what the log takes

_STAGES = {
    "dataset.uploaded": "upload",
    "dataset.version_added": "upload",
    "dataset.exported": "download",
    "table.downloaded": "download",
    "model.downloaded": "download",
    "evaluation.made": "report",
}
_STAGES_BY_NOUN = {
    "dataset": "dataset",
    "study": "search",
    "job": "job",
    "model": "model",
    "table": "table",
    "report": "report",
}
# A dataset's own history that doesn't concern what was made of it.
_BESIDE = frozenset({"dataset.exported", "dataset.failed"})
_BEGINNING = "dataset.uploaded"
_VERSION = "dataset_version"
_DATASETS, _MODELS, _STUDIES = ("dataset", _VERSION), ("model",), ("study",)
_MADE = frozenset({"model", "table", "report"})


class Chain(NamedTuple):
    """The records behind an object, the oldest first."""

    records: Sequence[Record]
    complete: bool


def stage_of(kind: str) -> str:
    """Which part of a chain a kind of event belongs to."""
    return _STAGES.get(kind) or _STAGES_BY_NOUN.get(kind.partition(".")[0], "other")


async def chain_of(session: AsyncSession, object_id: str, owner_id: UUID | None) -> Chain:
    """The records behind an object.

    Args:
        session: of the database.
        object_id: the id of a dataset, version, job, model, table, report or study.
        owner_id: whose it must be; None for anybody's.

    Raises:
        ProvenanceNotFound: nothing of theirs has this id.
    """
    if not 0 < len(object_id) <= _LONGEST_ID or "\0" in object_id:
        raise ProvenanceNotFound(object_id)
    own = await _naming(session, {object_id}, owner_id)
    if not own:
        raise ProvenanceNotFound(object_id)
    jobs = _jobs_of(object_id, own)
    made = await _naming(session, jobs, owner_id) if jobs else own
    models = await _of(session, _ids(made, "model"), _MODELS)
    # A dataset may be somebody else's who made it public, and so its records; they are shown without names.
    source = await _of(session, _ids(made, "dataset"), _DATASETS)
    versions = _ids(made, "dataset_version")
    return _chain(
        [
            *made,
            *(record for record in models if owner_id in (None, record.owner_id)),
            *(record for record in source if _concerns(record, versions)),
            *await _of(session, _ids(made, "study"), _STUDIES),
        ]
    )


def _jobs_of(object_id: str, records: Sequence[Record]) -> set[str]:
    """The jobs that an object comes from, or is."""
    own = [record for record in records if record.object_id == object_id]
    jobs = {object_id for record in own if record.object_type == "job"}
    jobs |= {record.related["job_id"] for record in own if record.object_type in _MADE and "job_id" in record.related}
    if not jobs:
        # The first job that tells of a model is the one that fitted it.
        jobs.update([record.object_id for record in records if _fits(record, object_id)][:1])
    return jobs


def _fits(record: Record, model_id: str) -> bool:
    return record.object_type == "job" and record.related.get("model_id") == model_id


def _ids(records: Iterable[Record], object_type: str) -> set[str]:
    """The ids of one type of objects that records are of, or relate to."""
    own = {record.object_id for record in records if record.object_type == object_type}
    related = {record.related.get(f"{object_type}_id", "") for record in records}
    return (own | related) - {""}


def _concerns(record: Record, versions: Collection[str]) -> bool:
    """Whether something that happened to a dataset concerns what was made of these versions of it."""
    if record.kind in _BESIDE:
        return False
    version = record.object_id if record.object_type == _VERSION else record.related.get(f"{_VERSION}_id")
    return record.kind == _BEGINNING or version is None or version in versions


async def _of(session: AsyncSession, objects: Collection[str], object_types: Collection[str]) -> Sequence[Record]:
    return await repository.records_of(session, objects, object_types, LARGEST_CHAIN + 1) if objects else ()


async def _naming(session: AsyncSession, objects: Collection[str], owner_id: UUID | None) -> Sequence[Record]:
    return await repository.records_naming(session, objects, owner_id=owner_id, limit=LARGEST_CHAIN + 1)


def _chain(records: Iterable[Record]) -> Chain:
    ordered = sorted({record.seq: record for record in records}.values(), key=lambda record: record.seq)
    return Chain(ordered[:LARGEST_CHAIN], len(ordered) <= LARGEST_CHAIN)
