"""The RPCs of SourceService, for other services."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.dataset.v1 import source_pb2, source_pb2_grpc
from servicekit.downloads import DEFAULT_URL_SECONDS
from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import parse_id
from servicekit.object_store import ObjectStore
from servicekit.timestamps import to_timestamp, utc_now
from services.dataset import convert, repository
from services.dataset.repository import View
from services.dataset.servicers.calls import Context, dataset_id_of
from services.dataset.storage import stored_bytes


class SourceServicer(source_pb2_grpc.SourceServiceServicer):
    """Tables, for those who learn from them."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], store: ObjectStore) -> None:
        self._sessions = sessions
        self._store = store

    async def GetSource(self, request: source_pb2.GetSourceRequest, context: Context) -> source_pb2.Source:
        """Where the table of a ready version can be fetched, if the user may read it."""
        dataset_id, user_id = dataset_id_of(request.dataset_id), parse_id(request.user_id, _no_user)
        async with self._sessions() as session:
            dataset = (await repository.find_readable(session, user_id, dataset_id)).dataset
            version = await repository.find_ready(session, dataset_id, request.version)
            facts = await repository.column_facts(session, version)
        expire_time = utc_now() + timedelta(seconds=DEFAULT_URL_SECONDS)
        return source_pb2.Source(
            dataset_id=str(dataset.id),
            version=version.number,
            dataset_name=dataset.name,
            columns=convert.columns_to_proto(View(dataset, version)),
            row_count=version.row_count,
            table_bytes=version.table_bytes,
            table_sha256=version.table_sha256,
            table_url=await self._store.presigned_get(version.table_key or "", DEFAULT_URL_SECONDS),
            expire_time=to_timestamp(expire_time),
            facts=[
                source_pb2.ColumnFacts(distinct_count=distinct, missing_count=missing) for distinct, missing in facts
            ],
        )

    async def GetStorageUsage(
        self, request: source_pb2.GetStorageUsageRequest, context: Context
    ) -> source_pb2.StorageUsage:
        """What a user's datasets take."""
        owner_id = parse_id(request.owner_id, _no_owner) if request.owner_id else None
        async with self._sessions() as session:
            size = await stored_bytes(session, owner_id)
        return source_pb2.StorageUsage(bytes=size)


def _no_owner(_text: str) -> InvalidRequest:
    return InvalidRequest([Violation("owner_id", "must be a user's id")])


def _no_user(_text: str) -> InvalidRequest:
    return InvalidRequest([Violation("user_id", "must be a user's id")])
