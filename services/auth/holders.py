"""The services that hold what is users': asked for all of it, and told to delete it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import NamedTuple
from uuid import UUID

import grpc.aio

from mirage.holdings.v1 import holding_pb2, holding_pb2_grpc
from servicekit.clients import Identity, own_stream, peer_channel, peer_error
from servicekit.errors import Unavailable
from servicekit.tls import InternalTls

_SILENCE_S = 30.0


class Found(NamedTuple):
    """What a service has come upon while it deleted."""

    found: int
    pending: int


class Batch(NamedTuple):
    """Some records of a section of what a service holds; none where the section begins."""

    section: str
    records: Sequence[bytes]
    partial: bool  # the last record goes on in the next batch


class Holder:
    """One service."""

    def __init__(self, name: str, channel: grpc.aio.Channel, identity: Identity) -> None:
        self.name = name
        self._stub = holding_pb2_grpc.HoldingServiceStub(channel)
        self._identity = identity

    async def export(self, user_id: UUID) -> AsyncGenerator[Batch, None]:
        """Everything that the service holds about a user.

        Raises:
            Unavailable: it can't be reached, or falls silent.
        """
        request = holding_pb2.ExportHoldingsRequest(user_id=str(user_id))
        async with aclosing(own_stream(self._identity, self._stub.ExportHoldings, request)) as messages:
            while True:
                try:
                    async with asyncio.timeout(_SILENCE_S):
                        message = await anext(messages, None)
                except TimeoutError:
                    raise self.unavailable from None
                except grpc.aio.AioRpcError as error:
                    raise peer_error(error, f"{self.name} service") from error
                if message is None:
                    return
                yield Batch(message.section, message.records, message.partial)

    async def delete(self, user_id: UUID, timeout_s: float) -> Found:
        """Has the service delete what is a user's.

        Raises:
            ServiceError: it can't be reached, or can't do it.
            AioRpcError: something is wrong in it.
        """
        request = holding_pb2.DeleteHoldingsRequest(user_id=str(user_id))
        try:
            answer = await self._stub.DeleteHoldings(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, f"{self.name} service") from error
        return Found(answer.found, answer.pending)

    @property
    def unavailable(self) -> Unavailable:
        """That it can't be reached."""
        return Unavailable(f"{self.name} service")


@asynccontextmanager
async def opened(
    addresses: Mapping[str, str], tls: InternalTls | None, identity: Identity
) -> AsyncIterator[Sequence[Holder]]:
    """The services at some addresses, by name, while the block runs."""
    async with AsyncExitStack() as stack:
        holders = []
        for name, address in addresses.items():
            channel = await stack.enter_async_context(peer_channel(address, tls, identity))
            holders.append(Holder(name, channel, identity))
        yield holders
