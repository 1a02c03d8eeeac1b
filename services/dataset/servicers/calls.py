"""What the servicers read of a call beside the messages."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio

from mirage.dataset.v1 import dataset_pb2
from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import parse_id
from services.dataset.errors import DatasetNotFound
from services.dataset.uploading.body import Opening

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
UploadMessage: TypeAlias = dataset_pb2.UploadDatasetRequest | dataset_pb2.CreateDatasetVersionRequest

_LENGTH_HEADER = "x-upload-length"


def dataset_id_of(text: str) -> UUID:
    """The id of a dataset; what is no id is an unknown one."""
    return parse_id(text, DatasetNotFound)


async def first_of(requests: AsyncIterator[Any]) -> Any:
    """An upload's first message.

    Raises:
        InvalidRequest: there is none.
    """
    async for request in requests:
        return request
    raise InvalidRequest([Violation("body", "is required: send a file")])


def opening_of(first: UploadMessage, context: Context) -> Opening:
    """What an upload's first message says."""
    said = (
        {"name": first.name, "description": first.description, "visibility": first.visibility}
        if isinstance(first, dataset_pb2.UploadDatasetRequest)
        else {}
    )
    return Opening(
        fields={name: value for name, value in said.items() if value},
        wait=first.wait if first.HasField("wait") else True,
        sha256=first.sha256,
        content_type=first.body.content_type,
        declared_bytes=_declared_bytes(context),
    )


async def chunks_of(first: UploadMessage, rest: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """An upload's bytes, as they arrive."""
    yield first.body.data
    async for request in rest:
        yield request.body.data


def _declared_bytes(context: Context) -> int | None:
    for name, value in context.invocation_metadata() or ():
        if name == _LENGTH_HEADER and isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
    return None
