"""The RPC of RevocationService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from mirage.auth.v1 import revocation_pb2, revocation_pb2_grpc
from servicekit.database import Database
from servicekit.listen import Listener
from services.auth import convert, revocations
from services.auth.servicers.origin import Context

_MAX_DIGITS = 20


class RevocationServicer(revocation_pb2_grpc.RevocationServiceServicer):
    """Access tokens that are good no longer."""

    def __init__(self, database: Database, listener: Listener, heartbeat_s: float) -> None:
        self._database = database
        self._listener = listener
        self._heartbeat_s = heartbeat_s

    async def WatchRevocations(
        self, request: revocation_pb2.WatchRevocationsRequest, context: Context
    ) -> AsyncIterator[revocation_pb2.RevocationBatch]:
        """Tells what is revoked, as it happens."""
        token = request.resume_token
        after = int(token) if token.isascii() and token.isdigit() and len(token) < _MAX_DIGITS else 0
        batches = revocations.follow(self._database, self._listener, after, heartbeat_s=self._heartbeat_s)
        async with aclosing(batches):
            async for batch in batches:
                yield convert.revocations_to_proto(batch)
