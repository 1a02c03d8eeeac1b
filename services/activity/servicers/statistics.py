"""The RPCs of StatisticsService."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import grpc.aio
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.activity.v1 import statistics_pb2 as pb
from mirage.activity.v1 import statistics_pb2_grpc
from servicekit.access import Role
from servicekit.errors import ServiceError
from servicekit.identity import caller
from servicekit.timestamps import utc_now
from services.activity.rollups import EVERYBODY
from services.activity.statistics import convert, figures, repository
from services.activity.statistics.peers import Peers
from services.activity.statistics.periods import asked_period

log = structlog.get_logger(__name__)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
AnswerT = TypeVar("AnswerT")

# Planned for whose figures are asked for: a plan for anybody's wouldn't read everybody's from their own index.
_PLANNED = text("SET LOCAL plan_cache_mode = force_custom_plan")
_DAYS = 30
_DAYS_OF_PERFORMANCE = 7
_SILENT = "The {} could not be asked: {} left out."


class StatisticsServicer(statistics_pb2_grpc.StatisticsServiceServicer):
    """Tells figures."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], peers: Peers) -> None:
        self._sessions = sessions
        self._peers = peers

    async def GetDashboard(self, request: pb.GetDashboardRequest, context: Context) -> pb.Dashboard:
        """An overview of the caller's own."""
        period = asked_period(request, default_days=_DAYS, now=utc_now())
        scope_id = caller().user_id
        async with self._snapshot() as session:
            days = await repository.days_of(session, scope_id, period)
            overview = await figures.overview(session, scope_id, days)
        answer = convert.dashboard(period, overview)
        await self._add_storage(answer, scope_id)
        return answer

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.Usage:
        """How the caller uses the platform."""
        period = asked_period(request, default_days=_DAYS, now=utc_now())
        scope_id = caller().user_id
        async with self._snapshot() as session:
            days = await repository.days_of(session, scope_id, period)
            usage = await figures.usage(session, scope_id, period, days)
        return convert.usage(period, usage)

    async def GetSystemStatistics(
        self, request: pb.GetSystemStatisticsRequest, context: Context
    ) -> pb.SystemStatistics:
        """The same over everybody."""
        period = asked_period(request, default_days=_DAYS, now=utc_now())
        async with self._snapshot() as session:
            days = await repository.days_of(session, EVERYBODY, period)
            overview = await figures.overview(session, EVERYBODY, days)
            usage = await figures.usage(session, EVERYBODY, period, days)
            users = await figures.users(session, period)
        answer = pb.SystemStatistics(
            dashboard=convert.dashboard(period, overview),
            usage=convert.usage(period, usage),
            users=convert.user_activity(users),
        )
        workload, _ = await asyncio.gather(
            _or_none(self._peers.workload()), self._add_storage(answer.dashboard, EVERYBODY)
        )
        if workload is None:
            answer.dashboard.notes.append(_SILENT.format("generation service", "jobs at work and queues are"))
        else:
            answer.workload.CopyFrom(convert.workload(workload))
        return answer

    async def GetPerformance(self, request: pb.GetPerformanceRequest, context: Context) -> pb.Performance:
        """How fast and how well things went."""
        period = asked_period(request, default_days=_DAYS_OF_PERFORMANCE, now=utc_now())
        who = caller()
        scope_id = EVERYBODY if who.role is Role.ADMINISTRATOR and not request.own else who.user_id
        async with self._snapshot() as session:
            found = await figures.performance(session, scope_id, period)
        return convert.performance(period, found)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session in which all figures are of one moment."""
        async with self._sessions() as session:
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            await session.execute(_PLANNED)
            yield session

    async def _add_storage(self, answer: pb.Dashboard, scope_id: UUID) -> None:
        datasets, generation = await asyncio.gather(
            _or_none(self._peers.dataset_bytes(scope_id)), _or_none(self._peers.generation_bytes(scope_id))
        )
        if datasets is None or generation is None:
            away = "dataset service" if datasets is None else "generation service"
            answer.notes.append(_SILENT.format(away, "what is stored is"))
        else:
            answer.storage.CopyFrom(pb.Storage(dataset_bytes=datasets, generation_bytes=generation))


async def _or_none(asking: Awaitable[AnswerT]) -> AnswerT | None:
    """What another service answers; None where it is away, or is so old that it doesn't know the question."""
    try:
        return await asking
    except (ServiceError, grpc.aio.AioRpcError) as error:
        log.warning("peer_not_asked", error=type(error).__name__)
        return None
