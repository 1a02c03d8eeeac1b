"""From a failure on the wire to an exception that says what to do."""

import asyncio
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from mirage import AsyncClient, endpoint, errors
from mirage.wire_errors import STATUS_KEY, from_rpc
from tests.client.platform import EMAIL, PASSWORD, SmallPlatform

URL = "http://localhost:8080"


def failed(code: grpc.StatusCode, *details: object, text: str = "It went wrong.") -> grpc.aio.AioRpcError:
    """Returns an RPC's failure with details, as a server would send it."""
    status = status_pb2.Status(code=code.value[0], message=text)
    for detail in details:
        status.details.add().Pack(detail)
    metadata = grpc.aio.Metadata((STATUS_KEY, status.SerializeToString()), ("x-request-id", "request-7"))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details=text)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidRequest),
        (grpc.StatusCode.OUT_OF_RANGE, errors.InvalidRequest),
        (grpc.StatusCode.UNAUTHENTICATED, errors.NotSignedIn),
        (grpc.StatusCode.PERMISSION_DENIED, errors.PermissionDenied),
        (grpc.StatusCode.NOT_FOUND, errors.NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, errors.AlreadyExists),
        (grpc.StatusCode.FAILED_PRECONDITION, errors.NotPossible),
        (grpc.StatusCode.ABORTED, errors.NotPossible),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.LimitExceeded),
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.TimedOut),
        (grpc.StatusCode.INTERNAL, errors.ServerFault),
        (grpc.StatusCode.DATA_LOSS, errors.DamagedTransfer),
        (grpc.StatusCode.UNIMPLEMENTED, errors.NotSupported),
    ],
)
def test_every_code_has_a_class(code: grpc.StatusCode, kind: type[errors.MirageError]) -> None:
    """Each gRPC code becomes one class, with the reason, metadata and request id that came along."""
    told = {"job_id": "7", "trace_id": "t-1"}
    info = error_details_pb2.ErrorInfo(reason="SOME_REASON", domain="mirage", metadata=told)
    error = from_rpc(failed(code, info), URL)
    assert type(error) is kind
    assert (error.code, error.reason, error.metadata) == (code.name, "SOME_REASON", {"job_id": "7"})
    assert (error.request_id, error.trace_id) == ("request-7", "t-1")
    assert str(error) == "It went wrong."


def test_every_violation_is_told() -> None:
    """All wrong fields are in the exception and in its text."""
    wrong = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field="rows", description="must be 1 or more"),
            error_details_pb2.BadRequest.FieldViolation(field="seed", description="must be 0 or more"),
        ]
    )
    error = from_rpc(failed(grpc.StatusCode.INVALID_ARGUMENT, wrong, text="rows: …; seed: …"), URL)
    assert error.violations == (
        errors.Violation("rows", "must be 1 or more"),
        errors.Violation("seed", "must be 0 or more"),
    )
    assert str(error) == "The request is not valid.\n  rows: must be 1 or more\n  seed: must be 0 or more"


def test_throttling_says_when_to_try_again() -> None:
    """A throttled request says how many seconds to wait, to programs and to people."""
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=12))
    error = from_rpc(failed(grpc.StatusCode.RESOURCE_EXHAUSTED, retry), URL)
    assert error.retry_after_s == 12
    assert "12 seconds" in error.hint


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect … Connection refused (111)", errors.ConnectionFailed),
        (grpc.StatusCode.UNAVAILABLE, "DNS resolution failed for nowhere:80", errors.ConnectionFailed),
        (grpc.StatusCode.UNAVAILABLE, "Ssl handshake failed", errors.ConnectionFailed),
        (grpc.StatusCode.UNAVAILABLE, "no healthy upstream", errors.Unavailable),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", errors.ConnectionLost),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2", errors.ConnectionLost),
        (grpc.StatusCode.CANCELLED, "Received RST_STREAM with error code 8", errors.ConnectionLost),
        (
            grpc.StatusCode.UNKNOWN,
            "Stream removed (RST_STREAM (Received RST_STREAM with error code 2))",
            errors.ConnectionLost,
        ),
        (grpc.StatusCode.UNIMPLEMENTED, "Received http2 header with status: 404", errors.ConnectionFailed),
        (grpc.StatusCode.UNKNOWN, "something else", errors.ServerFault),
    ],
)
def test_failures_of_the_network(code: grpc.StatusCode, text: str, kind: type[errors.MirageError]) -> None:
    """What the gRPC library says by itself becomes a sentence about the platform's address."""
    error = from_rpc(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=text), URL)
    assert type(error) is kind


@pytest.mark.parametrize(("content", "fault"), [(None, "no file"), ("no certificate", "holds no certificate")])
def test_wrong_file_of_authorities(tmp_path: Path, content: str | None, fault: str) -> None:
    """A file of trusted certificates that isn't one is told at once, by its name."""
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(errors.InvalidRequest, match=f"{fault}.*") as wrong:
        AsyncClient("https://localhost", ca_file=file)
    assert str(file) in str(wrong.value)


async def test_nothing_there() -> None:
    """Where nothing answers, the error names the address and says how to start a platform."""
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(errors.ConnectionFailed, match=r"Nothing answers at http://127\.0\.0\.1:1\.") as caught:
            await client.login(EMAIL, PASSWORD)
    assert "make run" in caught.value.hint


async def test_something_else_there() -> None:
    """Where a web server answers that isn't a platform, the error says so instead of speaking of HTTP."""

    class Silent(BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the base class's name
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Silent)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        async with AsyncClient(f"http://127.0.0.1:{server.server_port}") as client:
            with pytest.raises(errors.Unavailable):
                await client.login(EMAIL, PASSWORD)
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


async def test_errors_of_a_real_server(platform: SmallPlatform, client: AsyncClient) -> None:
    """Errors that cross the wire arrive whole: not found, wrong fields, and a fault that tells no secret."""
    with pytest.raises(errors.NotFound) as not_found:
        await client.jobs.get("nothing")
    assert (not_found.value.reason, not_found.value.metadata) == ("JOB_NOT_FOUND", {"job_id": "nothing"})
    with pytest.raises(errors.InvalidRequest) as invalid:
        await client.register("x", "y")
    assert [violation.field for violation in invalid.value.violations] == ["email", "password"]
    with pytest.raises(errors.ServerFault) as fault:
        await client.account.update(display_name="Ada")
    assert "secret" not in str(fault.value)


async def test_reads_are_tried_again(platform: SmallPlatform, client: AsyncClient) -> None:
    """A read that meets a platform in the middle of a restart is tried again by itself, but not for ever."""
    platform.faults.get_me_unavailable = 2
    assert (await client.account.me()).email == EMAIL
    platform.faults.get_me_unavailable = 100
    with pytest.raises(errors.Unavailable, match="database"):
        await client.account.me()


@pytest.mark.parametrize(
    ("given", "url", "target", "secure"),
    [
        ("http://localhost:8080", "http://localhost:8080", "localhost:8080", False),
        ("http://LOCALHOST:8080/", "http://localhost:8080", "localhost:8080", False),
        ("localhost:9", "http://localhost:9", "localhost:9", False),
        ("https://mirage.example", "https://mirage.example:443", "mirage.example:443", True),
        ("http://[::1]:8080", "http://[::1]:8080", "[::1]:8080", False),
    ],
)
def test_addresses(given: str, url: str, target: str, secure: bool) -> None:
    """Every spelling of an address becomes one."""
    parsed = endpoint.parse(given)
    assert (parsed.url, parsed.target, parsed.secure) == (url, target, secure)


@pytest.mark.parametrize(
    "given", ["ftp://localhost", "http://", "http://localhost:99999", "http://localhost/mirage", "http://a@localhost"]
)
def test_wrong_addresses(given: str) -> None:
    """What isn't an address is refused before anything is sent, with an example of one."""
    with pytest.raises(errors.InvalidRequest, match="not a platform's address") as caught:
        endpoint.parse(given)
    assert "http://localhost:8080" in caught.value.hint


def test_address_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address the environment's is taken, and without that the one of `make run`."""
    monkeypatch.setenv(endpoint.URL_VARIABLE, "https://mirage.example")
    assert endpoint.parse().url == "https://mirage.example:443"
    monkeypatch.delenv(endpoint.URL_VARIABLE)
    assert endpoint.parse().url == endpoint.DEFAULT_URL
