"""The RPC of LogService."""

from typing import Any, TypeAlias

import grpc.aio
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.activity.v1 import log_pb2, log_pb2_grpc
from services.activity import log_lists

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class LogServicer(log_pb2_grpc.LogServiceServicer):
    """The log, for administrators."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def ListLogRecords(
        self, request: log_pb2.ListLogRecordsRequest, context: Context
    ) -> log_pb2.ListLogRecordsResponse:
        """Lists what happened."""
        wanted = log_lists.filter_of(request)
        async with self._sessions() as session:
            records, next_token = await log_lists.page(session, wanted, request.page_size, request.page_token)
        return log_pb2.ListLogRecordsResponse(records=records, next_page_token=next_token)
