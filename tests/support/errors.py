"""What an error on the wire says, read as a client would."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

# What pydantic would say.
_FOREIGN = re.compile("^(Field required|Value error|[A-Z][a-z]+ should )")

_TRACE_ID = re.compile("[0-9a-f]{32}")


class Refusal:
    """An RPC's error, once the block of `refused` is left."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]  # less the ids, which every error has
    request_id: str
    trace_id: str
    violations: dict[str, str]  # description by field

    def read(self, error: grpc.aio.AioRpcError) -> None:
        """Takes the error apart; it must have an ErrorInfo of ours."""
        status = rpc_status.from_call(error)
        assert status is not None, error.details()
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(bad_request)
        assert info.domain == "mirage"
        self.code, self.message, self.reason = error.code(), status.message, info.reason
        self.metadata = dict(info.metadata)
        self.request_id, self.trace_id = self.metadata.pop("request_id"), self.metadata.pop("trace_id")
        assert self.request_id
        assert _TRACE_ID.fullmatch(self.trace_id)
        for violation in bad_request.field_violations:
            assert not _FOREIGN.search(violation.description), f"{violation}: not in the platform's own words"
        self.violations = {violation.field: violation.description for violation in bad_request.field_violations}


@asynccontextmanager
async def refused(reason: str, code: grpc.StatusCode | None = None) -> AsyncIterator[Refusal]:
    """Expects the block's RPC to fail for this reason; afterwards tells the rest of the error."""
    refusal = Refusal()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield refusal
    refusal.read(caught.value)
    assert refusal.reason == reason, refusal.message
    assert code is None or refusal.code is code
