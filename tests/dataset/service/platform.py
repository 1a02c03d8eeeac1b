"""A running dataset service with real parts around it, as its tests use it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock
from uuid import UUID, uuid4

import grpc.aio
from google.api.httpbody_pb2 import HttpBody
from pydantic import SecretStr
from sqlalchemy import text

from deploy.local.object_store import EmbeddedObjectStore
from mirage.dataset.v1 import dataset_pb2 as pb
from mirage.dataset.v1 import dataset_pb2_grpc, profile_pb2, source_pb2, source_pb2_grpc
from servicekit.database import Database
from servicekit.object_store import ObjectStore
from servicekit.server import running
from services.dataset.server import application
from services.dataset.settings import Settings
from tests.dataset.service.peers import DependentPeer, serving_dependents
from tests.support.auth_peer import SECRET, serving_auth
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

T = TypeVar("T")
Metadata = Sequence[tuple[str, str]]

CSV = b"id,age,city,joined\n" + b"".join(
    f"{1000 + row},{18 + row % 60},{('Vienna', 'Graz', 'Linz')[row % 3]},2024-0{1 + row % 9}-17\n".encode()
    for row in range(60)
)
"""A small table: 60 rows of an identifier, integers, categories and dates."""


class Client:
    """A caller: everything that somebody with a token can call."""

    def __init__(self, channel: grpc.aio.Channel, user_id: UUID, token: str) -> None:
        self.user_id = user_id
        self.metadata = (("authorization", f"Bearer {token}"),)
        self._datasets = dataset_pb2_grpc.DatasetServiceStub(channel)
        self._sources = source_pb2_grpc.SourceServiceStub(channel)

    async def upload(
        self,
        content: bytes | Iterable[bytes] = CSV,
        *,
        content_type: str = "text/csv",
        metadata: Metadata = (),
        **fields: Any,
    ) -> pb.Dataset:
        """Uploads a file as the raw body, `people` if nothing else is said."""
        given = {"name": "people", **fields}
        requests = _requests(pb.UploadDatasetRequest, given, content, content_type)
        dataset: pb.Dataset = await self._datasets.UploadDataset(requests, metadata=(*self.metadata, *metadata))
        return dataset

    async def upload_form(
        self, form: bytes, boundary: str = "b", *, pieces: int = 7, metadata: Metadata = (), **fields: Any
    ) -> pb.Dataset:
        """Uploads a multipart form in small pieces."""
        requests = _requests(
            pb.UploadDatasetRequest,
            fields,
            [form[start : start + pieces] for start in range(0, len(form), pieces)],
            f"multipart/form-data; boundary={boundary}",
        )
        dataset: pb.Dataset = await self._datasets.UploadDataset(requests, metadata=(*self.metadata, *metadata))
        return dataset

    async def add_version(
        self, dataset_id: str, content: bytes = CSV, metadata: Metadata = (), **fields: Any
    ) -> pb.DatasetVersion:
        """Uploads a file as a new version."""
        given = {"dataset_id": dataset_id, **fields}
        requests = _requests(pb.CreateDatasetVersionRequest, given, content, "text/csv")
        version: pb.DatasetVersion = await self._datasets.CreateDatasetVersion(
            requests, metadata=(*self.metadata, *metadata)
        )
        return version

    async def versions(self, dataset_id: str, **fields: Any) -> pb.ListDatasetVersionsResponse:
        """Lists versions."""
        return await self._call("ListDatasetVersions", dataset_id=dataset_id, **fields)  # type: ignore[no-any-return]

    async def get(self, dataset_id: str) -> pb.Dataset:
        """The dataset as it stands."""
        return await self._call("GetDataset", dataset_id=dataset_id)  # type: ignore[no-any-return]

    async def list_datasets(self, **fields: Any) -> pb.ListDatasetsResponse:
        """Lists datasets."""
        return await self._call("ListDatasets", **fields)  # type: ignore[no-any-return]

    async def update(self, dataset_id: str, columns: Sequence[Mapping[str, str]] = (), **fields: Any) -> pb.Dataset:
        """Changes a dataset."""
        updates = [pb.ColumnUpdate(**column) for column in columns]
        return await self._call("UpdateDataset", dataset_id=dataset_id, columns=updates, **fields)  # type: ignore[no-any-return]

    async def delete(self, dataset_id: str, *, cascade: bool = False) -> pb.DeleteDatasetResponse:
        """Deletes a dataset."""
        return await self._call("DeleteDataset", dataset_id=dataset_id, cascade=cascade)  # type: ignore[no-any-return]

    async def rows(self, dataset_id: str, **fields: Any) -> pb.ListRowsResponse:
        """A page of rows."""
        return await self._call("ListRows", dataset_id=dataset_id, **fields)  # type: ignore[no-any-return]

    async def profile(self, dataset_id: str, **fields: Any) -> profile_pb2.DatasetProfile:
        """The profile."""
        return await self._call("GetDatasetProfile", dataset_id=dataset_id, **fields)  # type: ignore[no-any-return]

    async def url(self, dataset_id: str, **fields: Any) -> str:
        """A signed URL."""
        return (await self._call("GetDatasetDownloadUrl", dataset_id=dataset_id, **fields)).url  # type: ignore[no-any-return]

    async def source(self, dataset_id: str, user_id: UUID, version: int = 0) -> source_pb2.Source:
        """Where the table is, for another service."""
        request = source_pb2.GetSourceRequest(dataset_id=dataset_id, user_id=str(user_id), version=version)
        source: source_pb2.Source = await self._sources.GetSource(request, metadata=self.metadata)
        return source

    def watch(self, dataset_id: str, resume_token: str = "") -> Any:
        """The running call of a watch."""
        request = pb.WatchDatasetRequest(dataset_id=dataset_id, resume_token=resume_token)
        return self._datasets.WatchDataset(request, metadata=self.metadata)

    async def events(self, dataset_id: str, resume_token: str = "") -> "list[pb.DatasetEvent]":
        """Every event behind a token until the stream closes, heartbeats aside."""
        return [event async for event in self.watch(dataset_id, resume_token) if event.stage != "heartbeat"]

    async def export(self, dataset_id: str, table_format: str = "", version: int = 0) -> tuple[bytes, dict[str, str]]:
        """The table's file and the answer's headers."""
        request = pb.ExportDatasetRequest(dataset_id=dataset_id, format=table_format, version=version)
        call = self._datasets.ExportDataset(request, metadata=self.metadata)
        bodies = [body async for body in call]
        headers = dict(await call.initial_metadata())
        return b"".join(body.data for body in bodies), {**headers, "content-type": bodies[0].content_type}

    def start_upload(self, requests: AsyncIterator[pb.UploadDatasetRequest], metadata: Metadata = ()) -> Any:
        """The running call of an upload, to be broken off."""
        return self._datasets.UploadDataset(requests, metadata=(*self.metadata, *metadata))

    async def _call(self, rpc: str, **fields: Any) -> Any:
        request = getattr(pb, f"{rpc}Request")(**fields)
        return await getattr(self._datasets, rpc)(request, metadata=self.metadata)


async def _requests(
    kind: Any, fields: Mapping[str, Any], content: bytes | Iterable[bytes], content_type: str
) -> AsyncIterator[Any]:
    """The messages of an upload: everything but further bytes is in the first."""
    chunks = (
        [content[start : start + 65_536] for start in range(0, len(content), 65_536)]
        if isinstance(content, bytes)
        else list(content)
    )
    yield kind(**fields, body=HttpBody(content_type=content_type, data=chunks[0] if chunks else b""))
    for chunk in chunks[1:]:
        yield kind(body=HttpBody(data=chunk))


def form(parts: Sequence[tuple[str, bytes, str]], boundary: str = "b", *, closed: bool = True) -> bytes:
    """A multipart form of parts (name, content, file name or nothing)."""
    content = b""
    for name, value, file_name in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{file_name}"' if file_name else "")
        content += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + value + b"\r\n"
    return content + (f"--{boundary}--\r\n".encode() if closed else b"")


@dataclass
class Platform:
    """What a test has at hand."""

    channel: grpc.aio.Channel
    settings: Settings
    database: Database
    store: ObjectStore
    dependents: DependentPeer
    tokens: Tokens
    scratch: Path  # where the service has its private directories

    def user(self) -> Client:
        """A new person."""
        user_id = uuid4()
        return Client(self.channel, user_id, self.tokens.user(user_id))

    def service(self, name: str) -> Client:
        """Another service."""
        return Client(self.channel, uuid4(), self.tokens.service(name))

    async def objects(self, owner: Client) -> set[str]:
        """The keys of this person's objects."""
        found = await asyncio.to_thread(
            lambda: list(self.store._client.list_objects(self.store.bucket, f"{owner.user_id}/", recursive=True))
        )
        return {item.object_name or "" for item in found}

    async def nothing_left(self, owner: Client) -> bool:
        """Whether this person has no dataset, no object, no mark on an object, and the service no private file."""
        rows = await self.count("datasets", "owner_id = :owner", owner=owner.user_id)
        return not rows + await self.marks(owner) and not await self.objects(owner) and not self.private_files()

    async def marks(self, owner: Client) -> int:
        """How many of this person's objects are marked for removal."""
        return await self.count("loose_objects", "key LIKE :prefix", prefix=f"{owner.user_id}/%")

    def private_files(self) -> list[Path]:
        """Files in the service's private directories."""
        return [path for path in self.scratch.rglob("*") if path.is_file() and path.name != "lock"]

    async def count(self, table: str, condition: str = "true", **values: Any) -> int:
        """The rows of a table for which a condition holds."""
        query = text(f"SELECT count(*) FROM {table} WHERE {condition}")  # noqa: S608 - our own names
        async with self.database.sessions() as session:
            return int(await session.scalar(query, values) or 0)


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as the environment of a process."""
    values = settings.model_dump()
    return {name.upper(): _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)


def settings_for(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, auth: str, generation: str, **changes: Any
) -> Settings:
    """What the service is started with."""
    values: dict[str, Any] = {
        "database_url": SecretStr(postgres.database_url("dataset")),
        "auth_address": auth,
        "generation_address": generation,
        "optimizer_address": generation,
        "service_client_id": "dataset",
        "service_client_secret": SecretStr(SECRET),
        "shutdown_grace_seconds": 0,
        "ingestion_slots": 1,
        "stream_heartbeat_seconds": 0.5,
        **{name.lower(): value for name, value in object_store.environment().items()},
        **changes,
    }
    return Settings(**values)


@dataclass
class Surroundings:
    """What a service stands on: settings that lead to real parts, and an empty database."""

    settings: Settings
    database: Database
    dependents: DependentPeer
    tokens: Tokens
    scratch: Path

    def platform(self, channel: grpc.aio.Channel) -> Platform:
        """What a test has at hand of a service that this channel leads to."""
        store = ObjectStore(self.settings, "dataset")
        return Platform(channel, self.settings, self.database, store, self.dependents, self.tokens, self.scratch)


@asynccontextmanager
async def open_surroundings(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, scratch: Path, **changes: Any
) -> AsyncIterator[Surroundings]:
    """Everything but the service; `changes` are settings that differ."""
    async with AsyncExitStack() as stack:
        dependents = DependentPeer()
        auth = await stack.enter_async_context(serving_auth(tokens))
        generation = await stack.enter_async_context(serving_dependents(dependents, tokens))
        settings = settings_for(postgres, object_store, auth, generation, **changes)
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        async with database.sessions.begin() as session:
            await session.execute(text("TRUNCATE datasets, loose_objects, outbox, pgqueuer CASCADE"))
        yield Surroundings(settings, database, dependents, tokens, scratch)


@asynccontextmanager
async def open_platform(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, scratch: Path, **changes: Any
) -> AsyncIterator[Platform]:
    """A running service on an empty database; `changes` are settings that differ."""
    async with AsyncExitStack() as stack:
        stack.enter_context(mock.patch.object(tempfile, "tempdir", str(scratch)))
        surroundings = await stack.enter_async_context(
            open_surroundings(postgres, object_store, tokens, scratch, **changes)
        )
        settings = surroundings.settings
        address = await stack.enter_async_context(running(settings, application(settings)))
        yield surroundings.platform(await stack.enter_async_context(grpc.aio.insecure_channel(address)))


async def until(condition: Callable[[], Awaitable[T]], timeout_s: float = 30.0) -> T:
    """Waits until a condition holds, and returns what it gave."""
    async with asyncio.timeout(timeout_s):
        while not (found := await condition()):  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.02)
        return found
