"""The RPCs of PerformanceService, for the other services."""

from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.activity.v1 import performance_pb2 as pb
from mirage.activity.v1 import performance_pb2_grpc
from servicekit import limits
from servicekit.errors import InvalidRequest, Violation
from servicekit.timestamps import from_timestamp, utc_now
from services.activity.rollups import EVERYBODY
from services.activity.statistics import requests
from services.activity.statistics.requests import Told

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_QUARTER_S = 900
_MOST = 2**63 - 1


class PerformanceServicer(performance_pb2_grpc.PerformanceServiceServicer):
    """Takes what services have counted."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def RecordRequests(self, request: pb.RecordRequestsRequest, context: Context) -> pb.RecordRequestsResponse:
        """Adds counts, once."""
        limits.check(request)
        if wrong := [
            Violation(f"counts.{index}.quarter_time", "must be the beginning of a quarter of an hour")
            for index, each in enumerate(request.counts)
            if each.quarter_time.seconds % _QUARTER_S or each.quarter_time.nanos
        ]:
            raise InvalidRequest(wrong)
        told = [_told(each) for each in request.counts]
        in_flight = [(each.rpc, _user(each.user_id), each.requests) for each in request.in_flight]
        async with self._sessions.begin() as session:
            added = await requests.add(
                session, UUID(request.batch_id), UUID(request.process_id), told, in_flight, utc_now()
            )
        return pb.RecordRequestsResponse(added=added)


def _told(counts: pb.RequestCounts) -> Told:
    return Told(
        counts.rpc.replace("\0", ""),
        _user(counts.user_id),
        from_timestamp(counts.quarter_time, "counts.quarter_time"),
        counts.requests,
        counts.errors,
        counts.failures,
        min(counts.request_bytes, _MOST),
        min(counts.response_bytes, _MOST),
        min(counts.microseconds, _MOST),
        tuple((each.bucket, each.count) for each in counts.durations),
    )


def _user(user_id: str) -> UUID:
    return UUID(user_id) if user_id else EVERYBODY
