"""How much one user may have stored, over all services."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import structlog
from grpc import StatusCode
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.errors import ServiceError, Unavailable

log = structlog.get_logger(__name__)

_MEBIBYTE = 1024 * 1024

Own = Callable[[AsyncSession, UUID], Awaitable[int]]
Elsewhere = Callable[[UUID], Awaitable[int]]


class StorageQuotaExceeded(ServiceError):
    """What the user has stored, with what would be added, is more than a user may have."""

    code, reason = StatusCode.RESOURCE_EXHAUSTED, "STORAGE_QUOTA_EXCEEDED"

    def __init__(self, used_bytes: int, more_bytes: int, limit_bytes: int) -> None:
        more = f", and this would add {_mebibytes(more_bytes)}" if more_bytes else ""
        super().__init__(
            f"You have {_mebibytes(used_bytes)} stored of {_mebibytes(limit_bytes)}{more}. "
            "Delete datasets, models or jobs with their tables that you no longer need.",
            used_bytes=str(used_bytes),
            limit_bytes=str(limit_bytes),
        )


class Allowance(NamedTuple):
    """What a user had stored when it was looked at, and may have."""

    used_bytes: int
    limit_bytes: float  # infinite for no limit

    async def hold(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Passes on what arrives, for as long as it fits: a length that nobody declared is known only then.

        Raises:
            StorageQuotaExceeded: it is more than fits.
        """
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if self.used_bytes + size > self.limit_bytes:
                raise StorageQuotaExceeded(self.used_bytes, size, int(self.limit_bytes))
            yield chunk


class StorageQuota:
    """Checks what a user has stored in this service and in another against the quota."""

    def __init__(self, limit_mb: int, own: Own, elsewhere: Elsewhere) -> None:
        """`own` counts bytes in this service's rows, `elsewhere` asks the other service; 0 MiB is no limit."""
        self._limit_bytes = limit_mb * _MEBIBYTE
        self._own = own
        self._elsewhere = elsewhere

    async def check(self, session: AsyncSession, owner_id: UUID, more_bytes: int = 0) -> Allowance:
        """Makes sure that a user may have so many bytes more; with 0, that the quota isn't used up.

        Called in the transaction that writes what is added, it holds also where several come at once: they take
        turns. While the other service is away only what is stored here counts.

        Raises:
            StorageQuotaExceeded: it would be too much.
        """
        if not self._limit_bytes:
            return Allowance(0, math.inf)
        elsewhere = await self._known_elsewhere(owner_id)
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"storage:{owner_id}", 0))))
        used = await self._own(session, owner_id) + elsewhere
        if used + max(more_bytes, 1) > self._limit_bytes:
            raise StorageQuotaExceeded(used, more_bytes, self._limit_bytes)
        return Allowance(used, self._limit_bytes)

    async def _known_elsewhere(self, owner_id: UUID) -> int:
        try:
            return await self._elsewhere(owner_id)
        except Unavailable as error:  # uploads need not wait for a service that they don't need
            log.warning("storage_usage_unknown", owner_id=str(owner_id), error=error.message)
            return 0


def _mebibytes(size: int) -> str:
    return f"{size / _MEBIBYTE:,.1f} MiB"
