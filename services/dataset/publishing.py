"""Personal data and who may read it: a dataset that holds some is public only as far as its owner has confirmed it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.timestamps import utc_now
from services.dataset import repository
from services.dataset.errors import PersonalDataFound
from services.dataset.models import Dataset, Document, Version
from services.dataset.personal_data.in_force import Held, described, in_force, personal
from services.dataset.personal_data.kinds import Kind
from services.dataset.states import Visibility

log = structlog.get_logger(__name__)


def held_by(dataset: Dataset, version: Version) -> list[Held]:
    """What is in force of a version's columns."""
    names = [str(column["name"]) for column in version.columns]
    return in_force(names, version.personal_data, dataset.personal_data_by_hand)


async def check_public(session: AsyncSession, dataset: Dataset, *, confirmed_by: UUID | None) -> None:
    """Lets a locked dataset be public: with all its versions, for all can be read then.

    What is confirmed is written down in the dataset's row and in the log.

    Args:
        session: the transaction that changes the dataset.
        dataset: the dataset, public, as it is to be.
        confirmed_by: who confirms that its personal data may be read by everybody; None if nobody does.

    Raises:
        PersonalDataFound: it holds some that nobody has confirmed.
    """
    await session.flush()
    versions = await repository.ready_versions(session, dataset.id)
    open_columns = _unconfirmed(dataset, versions)
    unread = [version.number for version in versions if version.personal_data is None]
    if not open_columns and (not unread or dataset.personal_data_confirmed is not None):
        return
    if confirmed_by is None:
        raise PersonalDataFound(dataset.id, described(open_columns), list(open_columns), unread)
    columns = {**_confirmed(dataset), **{name: kind.value for name, kind in open_columns.items()}}
    dataset.personal_data_confirmed = {
        "user_id": str(confirmed_by),
        "time": utc_now().isoformat(),
        "columns": columns,
    }
    log.info(
        "personal_data_confirmed",
        dataset_id=str(dataset.id),
        user_id=str(confirmed_by),
        columns=columns,
        versions=[version.number for version in versions],
    )


def withhold(dataset: Dataset, version: Version) -> str:
    """Makes a locked dataset private again if a version that is just ready holds personal data nobody has confirmed.

    Returns what its owner should know; empty if nothing changed.
    """
    if dataset.visibility is not Visibility.PUBLIC:
        return ""
    columns = _unconfirmed(dataset, [version])
    if not columns:
        return ""
    dataset.visibility = Visibility.PRIVATE
    forget_confirmation(dataset)
    log.warning(
        "dataset_withheld",
        dataset_id=str(dataset.id),
        version=version.number,
        columns={name: kind.value for name, kind in columns.items()},
    )
    return (
        f"When this version was read the dataset was made private, for it holds personal data: {described(columns)}. "
        "It becomes public once that is confirmed (confirm_personal_data)."
    )


def forget_confirmation(dataset: Dataset) -> None:
    """What was confirmed was so for the time that the dataset was public."""
    dataset.personal_data_confirmed = None


def warnings_of(version: Version, held: Sequence[Held]) -> list[str]:
    """What a reader of a version's profile should know of its personal data."""
    if version.personal_data is None:
        return ["The table was read before tables were searched for personal data; a new version of it will be."]
    columns = _kinds(personal(held))
    if not columns:
        return []
    return [f"Personal data, which is never learnt but invented anew in generated tables, is in: {described(columns)}."]


def _unconfirmed(dataset: Dataset, versions: Sequence[Version]) -> dict[str, Kind]:
    """Columns of any of the versions whose personal data nobody has confirmed."""
    columns: dict[str, Kind] = {}
    for version in versions:
        columns |= _kinds(personal(held_by(dataset, version)))
    return {name: kind for name, kind in columns.items() if _confirmed(dataset).get(name) != kind}


def _confirmed(dataset: Dataset) -> dict[str, str]:
    confirmed: Document = dataset.personal_data_confirmed or {}
    return dict(confirmed.get("columns", {}))


def _kinds(held: Mapping[str, Any]) -> dict[str, Kind]:
    return {name: each.kind for name, each in held.items()}
