"""What the servicers read of a call and write to it beside the messages."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import parse_id
from services.generation.errors import JobNotFound, ModelNotFound
from services.generation.jobs import Repeatable

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_LONGEST_KEY = 200


def repeatable(context: Context, request: Message) -> Repeatable | None:
    """The call's idempotency key, if it has one.

    Raises:
        InvalidRequest: the key is too long, or holds what no header should.
    """
    for name, value in context.invocation_metadata() or ():
        if name == "idempotency-key" and value:
            key = value if isinstance(value, str) else value.decode("latin-1")
            if len(key) > _LONGEST_KEY or not key.isprintable():
                allowed = f"must be at most {_LONGEST_KEY} printable characters"
                raise InvalidRequest([Violation("idempotency-key", allowed)])
            return Repeatable(key, hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest())
    return None


def job_id_of(text: str) -> UUID:
    """The id of a job; what is no id is an unknown one."""
    return parse_id(text, JobNotFound)


def model_id_of(text: str) -> UUID:
    """The id of a model; what is no id is an unknown one."""
    return parse_id(text, ModelNotFound)


def filter_id(field: str, text: str) -> UUID | None:
    """The id in a list's filter; None for none.

    Raises:
        InvalidRequest: it is no id.
    """
    if not text:
        return None
    return parse_id(text, lambda _text: InvalidRequest([Violation(field, "must be an id")]))


async def send_file(
    context: Context, headers: Mapping[str, str], content_type: str, pieces: AsyncIterator[bytes]
) -> AsyncIterator[HttpBody]:
    """Sends a file: its headers once the first piece is there, so that what fails before then is still an error."""
    first = await anext(pieces, b"")
    await context.send_initial_metadata((("x-raw-body", "1"), *headers.items()))
    yield HttpBody(content_type=content_type, data=first)
    async for piece in pieces:
        yield HttpBody(content_type=content_type, data=piece)
