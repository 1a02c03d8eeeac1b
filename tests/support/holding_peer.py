"""A service that holds what is users', small and by hand but honest: a real server that checks auth's real tokens."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from mirage.activity.v1 import event_pb2, event_pb2_grpc
from mirage.holdings.v1 import holding_pb2, holding_pb2_grpc
from servicekit.errors import ServiceError, Unavailable
from servicekit.holdings import SERVICE_NAME, told
from servicekit.identity import KeySource, TokenVerifier
from servicekit.server import Application
from tests.support.auth_peer import serving_peer
from tests.support.tokens import AUDIENCE, ISSUER

_EVENTS = "mirage.activity.v1.EventService"


class HoldingPeer(holding_pb2_grpc.HoldingServiceServicer, event_pb2_grpc.EventServiceServicer):
    """Holds records by user and section, and deletes one a call; takes events, as the log does."""

    def __init__(self) -> None:
        self.records: defaultdict[str, dict[str, list[bytes]]] = defaultdict(dict)
        self.pending = 0
        self.away = False
        self.breaks_off = False  # in the middle of an export
        self.events: list[event_pb2.Event] = []
        self.asked: list[str] = []  # whose things were to be deleted, call by call

    async def ExportHoldings(
        self, request: holding_pb2.ExportHoldingsRequest, _context: Any
    ) -> AsyncIterator[holding_pb2.ExportHoldingsResponse]:
        """Everything about a user."""
        self._present()
        for section, records in self.records[request.user_id].items():
            async for message in told(section, _each(records)):
                yield message
        if self.breaks_off:
            raise Unavailable("object store")

    async def DeleteHoldings(
        self, request: holding_pb2.DeleteHoldingsRequest, _context: Any
    ) -> holding_pb2.DeleteHoldingsResponse:
        """Deletes a section of a user's."""
        self._present()
        self.asked.append(request.user_id)
        mine = self.records[request.user_id]
        found = len(mine.pop(next(iter(mine)))) if mine else 0
        return holding_pb2.DeleteHoldingsResponse(found=found, pending=self.pending)

    async def RecordEvents(
        self, request: event_pb2.RecordEventsRequest, _context: Any
    ) -> event_pb2.RecordEventsResponse:
        """Takes events."""
        self._present()
        self.events += request.events
        return event_pb2.RecordEventsResponse(recorded=len(request.events))

    def _present(self) -> None:
        if self.away:
            raise ServiceError("Something is wrong here.")


async def _each(records: list[bytes]) -> AsyncIterator[bytes]:
    for record in records:
        yield record


@asynccontextmanager
async def serving_holdings(peer: HoldingPeer, keys: KeySource) -> AsyncIterator[str]:
    """Serves a peer; yields the address."""
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)

    def register(server: grpc.aio.Server) -> None:
        holding_pb2_grpc.add_HoldingServiceServicer_to_server(peer, server)
        event_pb2_grpc.add_EventServiceServicer_to_server(peer, server)

    async with serving_peer(Application((SERVICE_NAME, _EVENTS), register, verifier)) as address:
        yield address
