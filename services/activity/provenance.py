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
_DATASETS, _STUDIES = ("dataset", "dataset_version"), ("study",)
_MADE_BY_JOBS = frozenset({"model", "table", "report"})


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
    own = await _naming(session, {object_id}, owner_id)
    if not own:
        raise ProvenanceNotFound(object_id)
    jobs = _jobs_of(object_id, own)
    if not jobs:
        return _chain(own)
    made = await _naming(session, jobs, owner_id)
    products = _ids(made, _MADE_BY_JOBS, ("model_id", "table_id", "report_id")) - jobs
    # A dataset may be somebody else's who made it public, and so its records; they are shown without names.
    datasets = _ids(made, {"dataset"}, ("dataset_id",))
    versions = _ids(made, {"dataset_version"}, ("dataset_version_id",))
    studies = _ids(made, {"study"}, ("study_id",))
    source = await repository.records_of(session, datasets, _DATASETS, LARGEST_CHAIN + 1)
    return _chain(
        [
            *made,
            *(await _naming(session, products, owner_id) if products else ()),
            *(record for record in source if _concerns(record, versions)),
            *await repository.records_of(session, studies, _STUDIES, LARGEST_CHAIN + 1),
        ]
    )


def _jobs_of(object_id: str, records: Iterable[Record]) -> set[str]:
    """The jobs that an object comes from, or is."""
    jobs = set()
    for record in records:
        if record.object_id == object_id and record.object_type == "job":
            jobs.add(object_id)
        elif record.object_id == object_id and record.object_type in _MADE_BY_JOBS and "job_id" in record.related:
            jobs.add(record.related["job_id"])
    return jobs


def _ids(records: Iterable[Record], types: Collection[str], names: Iterable[str]) -> set[str]:
    """The ids of some types of objects that records are of, or relate to."""
    found = set()
    for record in records:
        if record.object_type in types:
            found.add(record.object_id)
        found.update(record.related[name] for name in names if name in record.related)
    return found


def _concerns(record: Record, versions: Collection[str]) -> bool:
    """Whether something that happened to a dataset concerns what was made of these versions of it."""
    if record.kind in _BESIDE:
        return False
    version = record.object_id if record.object_type == "dataset_version" else record.related.get("dataset_version_id")
    return not versions or version is None or version in versions or record.kind != "dataset.version_added"


async def _naming(session: AsyncSession, objects: Collection[str], owner_id: UUID | None) -> Sequence[Record]:
    return await repository.records_naming(session, objects, owner_id=owner_id, limit=LARGEST_CHAIN + 1)


def _chain(records: Iterable[Record]) -> Chain:
    ordered = sorted({record.seq: record for record in records}.values(), key=lambda record: record.seq)
    return Chain(ordered[:LARGEST_CHAIN], len(ordered) <= LARGEST_CHAIN)
