"""What a service holds about a user: told in one export, deleted with the account."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import grpc.aio
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from mirage.holdings.v1 import holding_pb2, holding_pb2_grpc
from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import parse_id

SERVICE_NAME = "mirage.holdings.v1.HoldingService"

_BATCH_BYTES = 1024 * 1024

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True)
class Section:
    """One kind of what a service holds."""

    name: str  # such as `datasets`
    records: Callable[[UUID], AsyncIterator[bytes]]  # a user's, each a JSON object; reads as it is asked for more


class Deleted(NamedTuple):
    """What one round of deleting has come upon."""

    found: int  # was still there
    pending: int = 0  # can't be deleted yet


class HoldingServicer(holding_pb2_grpc.HoldingServiceServicer):
    """What this service holds about users, for auth."""

    def __init__(self, sections: Sequence[Section], delete: Callable[[UUID], Awaitable[Deleted]]) -> None:
        self._sections = sections
        self._delete = delete

    async def ExportHoldings(
        self, request: holding_pb2.ExportHoldingsRequest, _context: Context
    ) -> AsyncIterator[holding_pb2.ExportHoldingsResponse]:
        """Tells everything about a user."""
        user_id = parse_id(request.user_id, _no_user)
        for section in self._sections:
            async for message in told(section.name, section.records(user_id)):
                yield message

    async def DeleteHoldings(
        self, request: holding_pb2.DeleteHoldingsRequest, _context: Context
    ) -> holding_pb2.DeleteHoldingsResponse:
        """Deletes what is a user's."""
        deleted = await self._delete(parse_id(request.user_id, _no_user))
        return holding_pb2.DeleteHoldingsResponse(found=deleted.found, pending=deleted.pending)


async def told(section: str, records: AsyncIterator[bytes]) -> AsyncIterator[holding_pb2.ExportHoldingsResponse]:
    """A section as messages of about a megabyte, the first of them without records; a larger record in pieces."""
    yield holding_pb2.ExportHoldingsResponse(section=section)
    batch: list[bytes] = []
    size = 0
    async for record in records:
        rest = record
        while size + len(rest) > _BATCH_BYTES:
            piece, rest = rest[: _BATCH_BYTES - size], rest[_BATCH_BYTES - size :]
            yield holding_pb2.ExportHoldingsResponse(section=section, records=[*batch, piece], partial=True)
            batch, size = [], 0
        batch.append(rest)
        size += len(rest)
    if batch:
        yield holding_pb2.ExportHoldingsResponse(section=section, records=batch)


def record_of(message: Message, **more: Any) -> bytes:
    """A record of an export: a resource as callers of the HTTP routes see it, with what is to be said besides."""
    text = MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
        ensure_ascii=False,
    )
    if not more:
        return text.encode()
    return f"{text[:-1]}, {json.dumps(more, ensure_ascii=False)[1:]}".encode()


def _no_user(_text: str) -> InvalidRequest:
    return InvalidRequest([Violation("user_id", "must be a user's id")])
