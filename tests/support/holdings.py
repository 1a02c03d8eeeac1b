"""What a running service holds about somebody, asked for and deleted as auth does it."""

import asyncio
import json
from typing import Any

import grpc.aio

from mirage.holdings.v1 import holding_pb2, holding_pb2_grpc
from tests.support.tokens import Tokens


class Holdings:
    """A service as auth sees it."""

    def __init__(self, channel: grpc.aio.Channel, tokens: Tokens) -> None:
        self._stub: Any = holding_pb2_grpc.HoldingServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {tokens.service('auth')}"),)

    async def export(self, user_id: object) -> dict[str, list[dict[str, Any]]]:
        """Everything about a user, by section."""
        sections: dict[str, list[dict[str, Any]]] = {}
        request = holding_pb2.ExportHoldingsRequest(user_id=str(user_id))
        async for batch in self._stub.ExportHoldings(request, metadata=self._metadata):
            sections.setdefault(batch.section, []).extend(map(json.loads, batch.records))
        return sections

    async def delete(self, user_id: object) -> tuple[int, int]:
        """One round; returns how many things were found, and how many have to wait."""
        request = holding_pb2.DeleteHoldingsRequest(user_id=str(user_id))
        answer = await self._stub.DeleteHoldings(request, metadata=self._metadata)
        return answer.found, answer.pending

    async def delete_all(self, user_id: object) -> int:
        """Rounds until nothing is found; returns how many things were."""
        found = 0
        async with asyncio.timeout(60):
            while count := (await self.delete(user_id))[0]:
                found += count
        return found
