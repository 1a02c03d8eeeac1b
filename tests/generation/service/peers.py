"""The services that generation calls, small and by hand, but honest: real servers, real checks, real objects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc.aio
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from grpc import StatusCode

from mirage.dataset.v1 import dataset_pb2, source_pb2, source_pb2_grpc
from servicekit.errors import ServiceError
from servicekit.identity import caller
from servicekit.ids import new_id
from servicekit.object_store import ObjectStore
from servicekit.server import Application
from servicekit.timestamps import to_timestamp, utc_now
from tests.support.auth_peer import serving_peer
from tests.support.tokens import Tokens


class DatasetNotFound(ServiceError):
    """As the dataset service says it."""

    code, reason = StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"

    def __init__(self, dataset_id: str) -> None:
        super().__init__(f"Dataset {dataset_id} does not exist.", dataset_id=dataset_id)


@dataclass
class Shelved:
    """A dataset that the source service has."""

    dataset_id: UUID
    owner_id: UUID
    public: bool
    key: str
    source: source_pb2.Source


class SourcePeer(source_pb2_grpc.SourceServiceServicer):
    """Serves tables that tests put in, from the real object store, to whom they belong."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._shelf: dict[str, Shelved] = {}
        self.reads = 0

    async def add(
        self,
        owner_id: UUID,
        table: pa.Table,
        types: dict[str, str],
        roles: dict[str, str] | None = None,
        *,
        public: bool = False,
        personal: dict[str, tuple[str, str]] | None = None,
    ) -> str:
        """Puts a table in; returns the dataset's id. `personal` are columns with kind and locale of personal data."""
        nothing = ("", "")
        dataset_id = new_id()
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        key = f"{owner_id}/{dataset_id}.parquet"
        stored = await self._store.put_bytes(key, sink.getvalue().to_pybytes())
        source = source_pb2.Source(
            dataset_id=str(dataset_id),
            version=1,
            dataset_name="people",
            columns=[
                dataset_pb2.Column(
                    name=name,
                    type=types[name],
                    role=(roles or {}).get(name, "feature"),
                    personal_data=(personal or {}).get(name, nothing)[0],
                    personal_data_locale=(personal or {}).get(name, nothing)[1],
                )
                for name in table.column_names
            ],
            row_count=len(table),
            table_bytes=stored.size,
            table_sha256=stored.sha256,
            facts=[
                source_pb2.ColumnFacts(
                    distinct_count=pc.count_distinct(column, mode="only_valid").as_py(),
                    missing_count=column.null_count,
                )
                for column in table.columns
            ],
        )
        self._shelf[str(dataset_id)] = Shelved(dataset_id, owner_id, public, key, source)
        return str(dataset_id)

    async def replace(self, dataset_id: str, content: bytes) -> None:
        """Puts other bytes where a table was, without telling."""
        await self._store.put_bytes(self._shelf[dataset_id].key, content)

    def remove(self, dataset_id: str) -> None:
        """Forgets a dataset."""
        del self._shelf[dataset_id]

    async def GetSource(self, request: source_pb2.GetSourceRequest, context: Any) -> source_pb2.Source:
        """Where the table is, for those who may read it."""
        assert caller().subject == "generation"
        self.reads += 1
        shelved = self._shelf.get(request.dataset_id)
        if shelved is None or not (shelved.public or str(shelved.owner_id) == request.user_id) or request.version > 1:
            raise DatasetNotFound(request.dataset_id)
        source = source_pb2.Source()
        source.CopyFrom(shelved.source)
        source.table_url = await self._store.presigned_get(shelved.key, 600)
        source.expire_time.CopyFrom(to_timestamp(utc_now()))
        return source

    async def GetStorageUsage(
        self, request: source_pb2.GetStorageUsageRequest, context: Any
    ) -> source_pb2.StorageUsage:
        """What the tables of an owner take."""
        assert caller().subject == "generation"
        mine = (each for each in self._shelf.values() if str(each.owner_id) == request.owner_id)
        return source_pb2.StorageUsage(bytes=sum(each.source.table_bytes for each in mine))


@asynccontextmanager
async def serving_sources(peer: SourcePeer, tokens: Tokens) -> AsyncIterator[str]:
    """Serves the dataset service's part; yields the address."""

    def register(server: grpc.aio.Server) -> None:
        source_pb2_grpc.add_SourceServiceServicer_to_server(peer, server)

    async with serving_peer(Application(("mirage.dataset.v1.SourceService",), register, tokens.verifier)) as address:
        yield address
