"""REST, native gRPC, grpc-web and TLS on one port."""

import base64
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from mirage.dataset.v1 import dataset_pb2, dataset_pb2_grpc
from tests.gateway.envoy import RunningEnvoy, until
from tests.gateway.rpcs import EXPORT, GET_ME, UPLOAD, WATCH
from tests.gateway.upstream import Upstream, failing
from tests.support.tokens import Tokens


@pytest.fixture(autouse=True)
def _account(upstream: Upstream) -> None:
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))


@pytest.fixture
def channel(gateway: RunningEnvoy) -> Iterator[grpc.Channel]:
    """A channel to the gateway."""
    with grpc.insecure_channel(gateway.target) as channel:
        yield channel


@pytest.fixture
def metadata(tokens: Tokens) -> tuple[tuple[str, str], ...]:
    """A user's token."""
    return (("authorization", f"Bearer {tokens.user()}"),)


def test_errors_keep_their_details_over_grpc(channel: grpc.Channel, upstream: Upstream, metadata: Any) -> None:
    """Native gRPC gets the status and its details as the service made them."""
    upstream.on(GET_ME, failing(grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND", "gone", user_id="u9"))
    with pytest.raises(grpc.RpcError) as failure:
        account_pb2_grpc.AccountServiceStub(channel).GetMe(account_pb2.GetMeRequest(), metadata=metadata, timeout=30)
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    status = rpc_status.from_call(failure.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.metadata["user_id"]) == ("USER_NOT_FOUND", "u9")


def test_every_kind_of_stream_over_grpc(channel: grpc.Channel, upstream: Upstream, metadata: Any) -> None:
    """Streams in, streams out and metadata pass through as they are."""

    def upload(requests: Iterator[Any], _context: Any) -> dataset_pb2.Dataset:
        return dataset_pb2.Dataset(source_bytes=sum(len(request.body.data) for request in requests))

    def watch(_request: Any, context: Any) -> Iterator[dataset_pb2.DatasetEvent]:
        context.send_initial_metadata((("x-seed", "7"),))
        yield from (dataset_pb2.DatasetEvent(sequence=number) for number in range(3))

    upstream.on(UPLOAD, upload)
    upstream.on(WATCH, watch)
    stub = dataset_pb2_grpc.DatasetServiceStub(channel)
    parts = (dataset_pb2.UploadDatasetRequest(body={"data": b"abc"}) for _ in range(4))
    assert stub.UploadDataset(parts, metadata=metadata, timeout=30).source_bytes == 12
    events = stub.WatchDataset(dataset_pb2.WatchDatasetRequest(), metadata=metadata, timeout=30)
    assert [event.sequence for event in events] == [0, 1, 2]
    assert ("x-seed", "7") in events.initial_metadata()


def test_deadline_over_grpc(channel: grpc.Channel, upstream: Upstream, metadata: Any) -> None:
    """A gRPC client's own deadline holds, and the service learns of it."""

    def never(_request: Any, context: Any) -> None:
        until(lambda: not context.is_active(), "the deadline")

    upstream.on(GET_ME, never)
    with pytest.raises(grpc.RpcError) as failure:
        account_pb2_grpc.AccountServiceStub(channel).GetMe(account_pb2.GetMeRequest(), metadata=metadata, timeout=0.2)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert upstream.last_call.ended.wait(30)


def frame(message: Any) -> bytes:
    """A message as gRPC and grpc-web send it."""
    content: bytes = message.SerializeToString()
    return struct.pack(">BI", 0, len(content)) + content


def frames(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames of a grpc-web answer: flag and content; flag 128 marks the trailers."""
    while content:
        flag, length = struct.unpack_from(">BI", content)
        yield flag, content[5 : 5 + length]
        content = content[5 + length :]


@pytest.mark.parametrize("content_type", ["application/grpc-web+proto", "application/grpc-web-text"])
def test_grpc_web(signed_in: httpx.Client, content_type: str) -> None:
    """A browser's gRPC client gets messages and trailers in the body, binary or as text."""
    is_text = content_type.endswith("text")
    body = frame(account_pb2.GetMeRequest())
    headers = {"content-type": content_type, "accept": content_type, "x-grpc-web": "1"}
    answer = signed_in.post(GET_ME, content=base64.b64encode(body) if is_text else body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/grpc-web")
    content = base64.b64decode(answer.content) if is_text else answer.content
    (flag, message), (trailer_flag, trailers) = frames(content)
    assert (flag, trailer_flag) == (0, 128)
    assert account_pb2.User.FromString(message).user_id == "u1"
    assert b"grpc-status:0" in trailers.replace(b" ", b"")


def test_grpc_web_errors(client: httpx.Client) -> None:
    """A browser's gRPC client without a token gets its own kind of error, not the JSON of REST."""
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    answer = client.post(GET_ME, content=frame(account_pb2.GetMeRequest()), headers=headers)
    assert answer.headers["content-type"].startswith("application/grpc-web")
    assert int(answer.headers["grpc-status"]) == grpc.StatusCode.UNAUTHENTICATED.value[0]
    assert not answer.content


def test_grpc_web_streams(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A browser's gRPC client gets the events of a stream, each in its frame."""
    upstream.on(WATCH, lambda _request, _context: (dataset_pb2.DatasetEvent(sequence=n) for n in range(3)))
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    answer = signed_in.post(WATCH, content=frame(dataset_pb2.WatchDatasetRequest()), headers=headers)
    events = [dataset_pb2.DatasetEvent.FromString(content) for flag, content in frames(answer.content) if flag == 0]
    assert [event.sequence for event in events] == [0, 1, 2]


def test_rest_over_http2(gateway: RunningEnvoy, tokens: Tokens) -> None:
    """REST clients may speak HTTP/2 on the same port."""
    headers = {"authorization": f"Bearer {tokens.user()}"}
    with httpx.Client(http1=False, http2=True, headers=headers) as client:
        answer = client.get(f"{gateway.url}/api/v1/auth/me")
        assert answer.http_version == "HTTP/2"
        assert answer.json()["data"]["user_id"] == "u1"
        assert client.post(f"{gateway.url}/auth/login", content=b"a=b").status_code == 415


def test_announced_length_over_http2(gateway: RunningEnvoy, upstream: Upstream, tokens: Tokens) -> None:
    """The length of a download is announced over HTTP/2 as well, so that a client can tell when it breaks off."""

    def export(_request: Any, context: Any) -> Iterator[httpbody_pb2.HttpBody]:
        context.send_initial_metadata((("x-raw-body", "1"), ("x-content-length", "10")))
        yield httpbody_pb2.HttpBody(content_type="text/csv", data=b"a,b\n")
        context.abort(grpc.StatusCode.INTERNAL, "broken")

    upstream.on(EXPORT, export)
    headers = {"authorization": f"Bearer {tokens.user()}"}
    with httpx.Client(http1=False, http2=True, headers=headers) as client:
        answer = client.get(f"{gateway.url}/datasets/d1/export")
    assert answer.headers["content-length"] == "10"
    assert answer.content == b"a,b\n"
