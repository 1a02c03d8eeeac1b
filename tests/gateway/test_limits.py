"""How much may be sent: 2 MB in a request and 8 MB in an upload, as the tests' settings say."""

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from mirage.dataset.v1 import dataset_pb2, dataset_pb2_grpc
from tests.gateway.envoy import RunningEnvoy
from tests.gateway.raw import exchange
from tests.gateway.rpcs import GET_ME, UPDATE_ME, UPLOAD
from tests.gateway.test_errors import error_of
from tests.gateway.upstream import Upstream
from tests.support.tokens import Tokens

MEBIBYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def _behaviours(upstream: Upstream) -> None:
    def upload(requests: Iterator[Any], _context: Any) -> dataset_pb2.Dataset:
        return dataset_pb2.Dataset(source_bytes=sum(len(request.body.data) for request in requests))

    upstream.on(UPLOAD, upload)
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User())
    upstream.on(UPDATE_ME, lambda request, _context: account_pb2.User(display_name=str(len(request.display_name))))


def json_of(length: int) -> bytes:
    """A JSON object of exactly this many bytes."""
    frame = b'{"display_name":""}'
    return frame[:-2] + b"x" * (length - len(frame)) + frame[-2:]


def in_chunks(content: bytes) -> Iterator[bytes]:
    """The content in pieces, so that its length isn't declared."""
    for start in range(0, len(content), 65536):
        yield content[start : start + 65536]


@pytest.mark.parametrize("declared", [True, False])
def test_request_up_to_the_limit(signed_in: httpx.Client, declared: bool) -> None:
    """A request of exactly the limit is served."""
    content = json_of(2 * MEBIBYTE)
    headers = {"content-type": "application/json"}
    answer = signed_in.put("/auth/me", content=content if declared else in_chunks(content), headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("declared", [True, False])
def test_request_over_the_limit(signed_in: httpx.Client, upstream: Upstream, declared: bool) -> None:
    """A byte more is 413, whether the length was declared or not, and never reaches the service."""
    content = json_of(2 * MEBIBYTE + 1)
    headers = {"content-type": "application/json"}
    answer = signed_in.put("/auth/me", content=content if declared else in_chunks(content), headers=headers)
    assert answer.status_code == 413
    error = error_of(answer)
    assert error["code"] == "REQUEST_TOO_LARGE"
    assert "2 MB" in error["message"]
    assert not [call for call in upstream.calls if call.path == UPDATE_ME and call.requests]


@pytest.mark.parametrize(
    ("path", "code"), [("/api/v1/auth/register", "REQUEST_TOO_LARGE"), ("/api/v1/upload/dataset", "FILE_TOO_LARGE")]
)
def test_declared_length_is_refused_before_the_body(gateway: RunningEnvoy, path: str, code: str) -> None:
    """Nobody has to send gigabytes to be told that they are too many."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer = exchange(gateway.host, gateway.port, f"{head}Content-Length: 9000000000\r\n\r\n".encode())
    assert answer.status == 413
    assert f'"code":"{code}"'.encode() in answer.body


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize("declared", [True, False])
def test_upload_over_the_limit(signed_in: httpx.Client, prefix: str, declared: bool) -> None:
    """An upload larger than files may be is 413, under every prefix."""
    content = b"x" * (17 * MEBIBYTE)
    answer = signed_in.post(
        f"{prefix}/upload/dataset",
        content=content if declared else in_chunks(content),
        headers={"content-type": "text/csv"},
    )
    assert answer.status_code == 413
    error = error_of(answer)
    assert error["code"] == "FILE_TOO_LARGE"
    assert "8 MB" in error["message"]


def test_largest_file_in_a_form(signed_in: httpx.Client) -> None:
    """A file of exactly the limit passes although its form makes the body larger."""
    answer = signed_in.post("/upload/dataset", files={"file": ("a.csv", b"x" * (8 * MEBIBYTE), "text/csv")})
    assert answer.status_code == 200
    assert answer.json()["data"]["source_bytes"] > 8 * MEBIBYTE


def test_limits_over_grpc(gateway: RunningEnvoy, tokens: Tokens) -> None:
    """The same limits hold for native gRPC: a request is refused, an upload of that size isn't."""
    metadata = (("authorization", f"Bearer {tokens.user()}"),)
    with grpc.insecure_channel(gateway.target) as channel:
        account = account_pb2_grpc.AccountServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            account.UpdateMe(
                account_pb2.UpdateMeRequest(display_name="x" * 3 * MEBIBYTE), metadata=metadata, timeout=30
            )
        assert refused.value.code() is not grpc.StatusCode.OK
        parts = (dataset_pb2.UploadDatasetRequest(body={"data": b"x" * MEBIBYTE}) for _ in range(6))
        dataset = dataset_pb2_grpc.DatasetServiceStub(channel).UploadDataset(parts, metadata=metadata, timeout=30)
        assert dataset.source_bytes == 6 * MEBIBYTE
