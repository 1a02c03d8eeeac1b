"""The dataset service, as this service needs it: a version's table, on behalf of a user."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import grpc.aio
import httpx

from mirage.dataset.v1 import source_pb2, source_pb2_grpc
from servicekit import tracing
from servicekit.clients import peer_error
from servicekit.column_types import ColumnRole, ColumnType
from servicekit.errors import Unavailable
from servicekit.personal_data import PersonalKind
from services.generation.tables.columns import ColumnSpec

_CONNECT_TIMEOUT_SECONDS = 10.0
_READ_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of one column's values."""

    distinct_count: int  # missing ones aside
    missing_count: int


@dataclass(frozen=True)
class Source:
    """A version of a dataset that the user may read."""

    dataset_id: UUID
    version: int
    dataset_name: str
    columns: tuple[ColumnSpec, ...]
    row_count: int
    table_bytes: int
    table_sha256: str
    table_url: str  # good for a while only
    facts: Mapping[str, ColumnFacts]  # by column; empty where nothing is known


class SourceChanged(Exception):
    """The table that was fetched isn't the one that was announced."""


class SourceClient:
    """Asks the dataset service for tables."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = source_pb2_grpc.SourceServiceStub(channel)

    async def get(self, dataset_id: str, version: int, user_id: UUID) -> Source:
        """A version of a dataset (0: the latest) as the user may read it.

        Raises:
            PeerError: what the dataset service says, such as DATASET_NOT_FOUND for an unknown or a foreign one.
            Unavailable: the dataset service can't be reached.
        """
        request = source_pb2.GetSourceRequest(dataset_id=dataset_id, version=version, user_id=str(user_id))
        try:
            answer = await self._stub.GetSource(request)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "dataset service") from error
        return Source(
            dataset_id=UUID(answer.dataset_id),
            version=answer.version,
            dataset_name=answer.dataset_name,
            columns=tuple(
                ColumnSpec(
                    name=column.name,
                    type=ColumnType(column.type),
                    role=ColumnRole(column.role) if column.role else ColumnRole.FEATURE,
                    personal_data=PersonalKind(column.personal_data) if column.personal_data else None,
                    personal_data_locale=column.personal_data_locale,
                )
                for column in answer.columns
            ),
            row_count=int(answer.row_count),
            table_bytes=int(answer.table_bytes),
            table_sha256=answer.table_sha256,
            table_url=answer.table_url,
            facts={
                column.name: ColumnFacts(int(known.distinct_count), int(known.missing_count))
                for column, known in zip(answer.columns, answer.facts, strict=False)
            },
        )

    async def stored_bytes(self, owner_id: UUID) -> int:
        """What the dataset service has stored for a user.

        Raises:
            Unavailable: the dataset service can't be reached.
        """
        try:
            answer = await self._stub.GetStorageUsage(source_pb2.GetStorageUsageRequest(owner_id=str(owner_id)))
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, "dataset service") from error
        return int(answer.bytes)


async def fetch_table(source: Source, path: Path) -> None:
    """Fetches a source's Parquet table into a file and checks that it is the one announced.

    Raises:
        SourceChanged: it isn't.
        Unavailable: the object store can't be reached, or has not the object.
    """
    digest = hashlib.sha256()
    try:
        with tracing.span("S3 GetObject", "client", {"mirage.bytes": source.table_bytes}):
            await _download(source.table_url, path, digest)
    except httpx.HTTPError as error:
        raise Unavailable("dataset's table") from error
    if digest.hexdigest() != source.table_sha256:
        raise SourceChanged


async def _download(url: str, path: Path, digest: "hashlib._Hash") -> None:
    timeout = httpx.Timeout(_READ_TIMEOUT_SECONDS, connect=_CONNECT_TIMEOUT_SECONDS)
    async with (
        httpx.AsyncClient(timeout=timeout, trust_env=False) as client,
        client.stream("GET", url) as answer,
    ):
        answer.raise_for_status()
        with path.open("wb") as file:
            async for chunk in answer.aiter_bytes():
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
