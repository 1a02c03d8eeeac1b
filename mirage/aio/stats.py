"""Figures of what happened: `client.stats`."""

from mirage.activity.v1 import statistics_pb2 as pb
from mirage.connection import Connection
from mirage.records.statistics import Dashboard, Performance, SystemStatistics, Usage


class AsyncStats:
    """Figures of what is the caller's own; for administrators, of everybody's.

    Days begin and end in a time zone, by its name (IANA) such as `Europe/Vienna`; without one, in UTC.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def dashboard(self, days: int = 30, time_zone: str = "") -> Dashboard:
        """Returns an overview: datasets, jobs, quality, storage, and how they developed; `days` are 1 to 366."""
        request = pb.GetDashboardRequest(days=days, time_zone=time_zone)
        return Dashboard(await self._connection.call(self._connection.statistics.GetDashboard, request))

    async def usage(self, days: int = 30, time_zone: str = "") -> Usage:
        """Returns how the caller uses the platform; `days` are 1 to 366."""
        request = pb.GetUsageRequest(days=days, time_zone=time_zone)
        return Usage(await self._connection.call(self._connection.statistics.GetUsage, request))

    async def performance(self, days: int = 7, time_zone: str = "", *, own: bool = False) -> Performance:
        """Returns how fast and how well things went; `days` are 1 to 90.

        Administrators are told of everybody's requests, jobs and searches, unless they ask for their `own`.
        """
        request = pb.GetPerformanceRequest(days=days, time_zone=time_zone, own=own)
        return Performance(await self._connection.call(self._connection.statistics.GetPerformance, request))

    async def system(self, days: int = 30, time_zone: str = "") -> SystemStatistics:
        """Returns everybody's figures; needs the administrator's role; `days` are 1 to 366."""
        request = pb.GetSystemStatisticsRequest(days=days, time_zone=time_zone)
        return SystemStatistics(await self._connection.call(self._connection.statistics.GetSystemStatistics, request))
