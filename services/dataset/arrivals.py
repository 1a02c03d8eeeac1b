"""What an upload is to become: a new dataset, or a new version of one."""

import hashlib
import json
from abc import ABC, abstractmethod
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import logs, trace_context
from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import new_id
from servicekit.timestamps import utc_now
from servicekit.validation import validated
from services.dataset import events, repository, work_queue
from services.dataset.inputs import LONGEST_NAME, Announcement, Details, Input
from services.dataset.models import Dataset, Version, loose_objects
from services.dataset.states import Stage, State
from services.dataset.uploading.body import Body


class Received(NamedTuple):
    """A file that has arrived whole."""

    key: str  # of its object; empty if it wasn't stored
    size: int  # bytes
    sha256: str


class Arrival(ABC):
    """An upload that is arriving for somebody's dataset."""

    def __init__(self, owner_id: UUID, dataset_id: UUID, body: Body) -> None:
        self.owner_id = owner_id
        self.dataset_id = dataset_id
        self.body = body

    @abstractmethod
    def check_opening(self) -> Announcement:
        """Checks what is known before the file, and returns it.

        Raises:
            InvalidRequest: something is wrong with it.
        """

    @abstractmethod
    def details(self) -> BaseModel:
        """What was said about the file, once it has arrived.

        Raises:
            InvalidRequest: something is wrong with it.
        """

    @abstractmethod
    async def write(self, session: AsyncSession, received: Received) -> Version:
        """Writes the rows, in a transaction.

        Raises:
            DatasetNotFound: the dataset is gone.
        """

    def fingerprint(self, received: Received) -> str:
        """What tells this upload from others under the same idempotency key."""
        content: list[Any] = [*self.identity(), self.details().model_dump(mode="json"), received.sha256]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @abstractmethod
    def identity(self) -> list[str]:
        """The kind of upload, and what it is for."""


class NewDataset(Arrival):
    """An upload that becomes a dataset."""

    def __init__(self, owner_id: UUID, body: Body) -> None:
        super().__init__(owner_id, new_id(), body)

    def check_opening(self) -> Announcement:
        """Checks the first message; a raw body must be named there."""
        opening = self.body.opening
        announced = validated(Announcement, {**opening.fields, **_announced_sha256(opening.sha256)})
        if announced.name is None and not self.body.is_form:
            raise InvalidRequest([Violation("name", "is required: a file sent as the raw body has no name")])
        return announced

    def details(self) -> Details:
        """What the dataset is called; its file's name if nothing else is said."""
        stem = PurePath(self.body.file_name).stem[:LONGEST_NAME].strip()
        fields = {name: value for name, value in self.body.fields.items() if value or name == "description"}
        return validated(Details, {**({"name": stem} if stem else {}), **fields})

    def identity(self) -> list[str]:
        """Nothing but its kind: its id is new each time."""
        return ["dataset"]

    async def write(self, session: AsyncSession, received: Received) -> Version:
        """Writes the dataset with its first version."""
        details, now = self.details(), utc_now()
        dataset = Dataset(
            id=self.dataset_id,
            owner_id=self.owner_id,
            name=details.name,
            description=details.description,
            visibility=details.visibility,
            latest_version=0,
            versions_made=0,
            last_seq=0,
            created_at=now,
            updated_at=now,
        )
        session.add(dataset)
        return await _add_version(session, dataset, self.body, received)


class _NoDetails(Input):
    """A version has nothing of its own but its file."""


class NewVersion(Arrival):
    """An upload that becomes the next version of a dataset."""

    def check_opening(self) -> Announcement:
        """Checks the first message."""
        return validated(Announcement, _announced_sha256(self.body.opening.sha256))

    def details(self) -> BaseModel:
        """Nothing: the form has the file alone."""
        return validated(_NoDetails, self.body.fields)

    def identity(self) -> list[str]:
        """The dataset it is for."""
        return ["version", str(self.dataset_id)]

    async def write(self, session: AsyncSession, received: Received) -> Version:
        """Writes the version."""
        self.details()
        dataset = await repository.lock_own(session, self.owner_id, self.dataset_id)
        return await _add_version(session, dataset, self.body, received)


async def _add_version(session: AsyncSession, dataset: Dataset, body: Body, received: Received) -> Version:
    """Adds the next version to a locked or new dataset, with its event and its place in the queue."""
    dataset.versions_made += 1
    dataset.latest_version = dataset.versions_made
    version = Version(
        dataset_id=dataset.id,
        number=dataset.versions_made,
        state=State.PROCESSING,
        request_id=logs.request_id(),
        traceparent=trace_context.traceparent(),
        source_key=received.key,
        source_name=body.file_name[:LONGEST_NAME],
        source_bytes=received.size,
        source_sha256=received.sha256,
        source_format="",
        table_bytes=0,
        table_sha256="",
        row_count=0,
        columns=[],
        warnings=[],
        attempts=0,
        at_work=False,
        losses=0,
        created_at=utc_now(),
    )
    await session.flush()
    session.add(version)
    await work_queue.enqueue(session, version)
    await events.record(session, dataset, version, Stage.RECEIVED)
    await loose_objects.fasten(session, [received.key])
    return version


def _announced_sha256(sha256: str) -> dict[str, str]:
    return {"sha256": sha256} if sha256 else {}
