"""Tells the activity service what a process has counted of its requests, every few seconds.

A message is sent, with the same id, until its answer comes, so that it counts once; what is counted meanwhile goes into
the next. While the activity service is away, counts add up in memory, within their bound.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
import grpc.aio
import structlog

from mirage.activity.v1 import performance_pb2 as pb
from mirage.activity.v1 import performance_pb2_grpc
from servicekit.clients import Identity, peer_channel
from servicekit.errors import ServiceError
from servicekit.ids import new_id
from servicekit.request_counts import RequestCounts
from servicekit.settings import ServiceSettings

log = structlog.get_logger(__name__)

TELL_S = 5.0
_CALL_TIMEOUT_S = 5.0
_LAST_WORDS_S = 1.0

# What no further try changes: the message is given up, and said so.
_REFUSED = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED})


class RequestTelling:
    """Sends what was counted."""

    def __init__(self, counts: RequestCounts, channel: grpc.aio.Channel, identity: Identity) -> None:
        self._counts = counts
        self._identity = identity
        self._stub = performance_pb2_grpc.PerformanceServiceStub(channel)
        self._process_id = str(new_id())
        self._unanswered: pb.RecordRequestsRequest | None = None
        self._told_in_flight = False
        self._away = False

    async def keep(self, every_s: float) -> None:
        """Tells, again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.tell()
            except Exception:  # whatever it is, the next message may go
                log.exception("requests_not_told")

    async def tell(self, timeout_s: float = _CALL_TIMEOUT_S) -> bool:
        """Tells what there is, if there is anything; returns whether nothing is left untold."""
        message = self._unanswered or pb.RecordRequestsRequest(
            batch_id=str(new_id()), process_id=self._process_id, counts=self._counts.take()
        )
        del message.in_flight[:]
        message.in_flight.extend(self._counts.in_flight())
        if not message.counts and not message.in_flight and not self._told_in_flight:
            return True
        self._unanswered = message
        try:
            await self._stub.RecordRequests(message, timeout=timeout_s)
        except ServiceError as error:  # no token
            self._failed(type(error).__name__)
            return False
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSED:
                log.exception("requests_refused", code=error.code().name, counts=len(message.counts))
                self._unanswered = None
                return False
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                with suppress(ServiceError):
                    self._identity.discard(await self._identity.token())
            self._failed(error.code().name)
            return False
        self._unanswered = None
        self._told_in_flight = bool(message.in_flight)
        if self._away:
            log.info("requests_told_again")
            self._away = False
        return True

    def _failed(self, cause: str) -> None:
        if not self._away:
            log.warning("requests_wait", cause=cause)
        self._away = True


@asynccontextmanager
async def counted_requests(
    settings: ServiceSettings, activity_address: str, identity: Identity, every_s: float = TELL_S
) -> AsyncIterator[RequestCounts | None]:
    """Tells, while the block runs, what is counted; yields where to count.

    None where the settings say that nothing is to be, or there is nobody to tell.
    """
    if not settings.performance_monitoring or not activity_address:
        yield None
        return
    counts = RequestCounts()
    async with peer_channel(activity_address, settings.internal_tls, identity) as channel:
        telling = RequestTelling(counts, channel, identity)
        keeping = asyncio.create_task(telling.keep(every_s), name="request telling")
        try:
            yield counts
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})
            await telling.tell(_LAST_WORDS_S)
