"""What isn't JSON in one piece: events, files in and out, raw answers."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2

from mirage.dataset.v1 import dataset_pb2
from mirage.generation.v1 import model_pb2
from tests.gateway.envoy import RunningEnvoy, until
from tests.gateway.rpcs import EXPORT, KEY_SET, SAMPLE, UPLOAD, WATCH
from tests.gateway.test_errors import error_of
from tests.gateway.upstream import Upstream, failing

MEBIBYTE = 1024 * 1024


def events_in(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The events of a stream as they come."""
    for line in lines:
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def test_events_come_one_by_one(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Each event is there as soon as it happens, without the envelope, and the last one closes the stream."""
    seen = [threading.Event(), threading.Event()]

    def watch(request: Any, _context: Any) -> Iterator[dataset_pb2.DatasetEvent]:
        for number, previous in enumerate((None, *seen)):
            if previous:
                assert previous.wait(30)
            yield dataset_pb2.DatasetEvent(dataset_id=request.dataset_id, sequence=number, stage="reading")

    upstream.on(WATCH, watch)
    with signed_in.stream("GET", "/api/v1/datasets/d1/watch?resume_token=t") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        events = []
        for event in events_in(answer.iter_lines()):
            if event["sequence"] < len(seen):
                seen[event["sequence"]].set()
            events.append(event)
    assert [event["sequence"] for event in events] == [0, 1, 2]
    assert events[0]["dataset_id"] == "d1"
    assert upstream.last_call.requests[0].resume_token == "t"


def test_error_before_the_first_event(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A stream that can't begin is an error like any other."""

    def watch(request: Any, context: Any) -> Iterator[dataset_pb2.DatasetEvent]:
        failing(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND", "no such dataset")(request, context)
        yield dataset_pb2.DatasetEvent()

    upstream.on(WATCH, watch)
    answer = signed_in.get("/datasets/d1/watch")
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "DATASET_NOT_FOUND"


def test_leaving_ends_the_stream(signed_in: httpx.Client, upstream: Upstream) -> None:
    """When a subscriber goes, the service is told."""
    gone = threading.Event()

    def watch(_request: Any, context: Any) -> Iterator[dataset_pb2.DatasetEvent]:
        yield dataset_pb2.DatasetEvent(sequence=1)
        context.add_callback(gone.set)
        gone.wait(30)

    upstream.on(WATCH, watch)
    with signed_in.stream("GET", "/datasets/d1/watch") as answer:
        next(events_in(answer.iter_lines()))
    assert upstream.last_call.ended.wait(30)


@pytest.mark.parametrize(
    "path", ["/upload/dataset", "/datasets/upload", "/api/v1/upload/dataset", "/api/datasets/upload"]
)
def test_upload_arrives_in_chunks(signed_in: httpx.Client, upstream: Upstream, path: str) -> None:
    """A file larger than a JSON request may be arrives as a stream, with its type, its length and its parameters."""
    content = bytes(range(256)) * (5 * MEBIBYTE // 256)

    def upload(requests: Iterator[Any], _context: Any) -> dataset_pb2.Dataset:
        received = b"".join(request.body.data for request in requests)
        return dataset_pb2.Dataset(dataset_id="d1", source_bytes=len(received), name=str(received == content))

    upstream.on(UPLOAD, upload)
    answer = signed_in.post(f"{path}?name=people&wait=false", content=content, headers={"content-type": "text/csv"})
    assert answer.status_code == 200
    assert answer.json()["data"]["source_bytes"] == len(content)
    assert answer.json()["data"]["name"] == "True"
    first, *others = upstream.last_call.requests
    assert (first.name, first.wait, first.body.content_type) == ("people", False, "text/csv")
    assert others
    assert max(len(request.body.data) for request in upstream.last_call.requests) <= MEBIBYTE
    assert upstream.last_call.metadata["x-upload-length"] == str(len(content))


def test_upload_without_a_length(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A body sent in chunks, whose length nobody declared, arrives as well; no length is made up."""

    def upload(requests: Iterator[Any], _context: Any) -> dataset_pb2.Dataset:
        return dataset_pb2.Dataset(source_bytes=sum(len(request.body.data) for request in requests))

    upstream.on(UPLOAD, upload)
    answer = signed_in.post("/upload/dataset", content=iter([b"a,b\n", b"1,2\n"]), headers={"content-type": "text/csv"})
    assert answer.json()["data"]["source_bytes"] == 8
    assert "x-upload-length" not in upstream.last_call.metadata


def test_upload_of_a_form(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A multipart form arrives untouched, its boundary in the content type."""

    def upload(requests: Iterator[Any], _context: Any) -> dataset_pb2.Dataset:
        first, *others = requests
        body = first.body.data + b"".join(request.body.data for request in others)
        return dataset_pb2.Dataset(name=first.body.content_type, description=body.decode())

    upstream.on(UPLOAD, upload)
    answer = signed_in.post("/upload/dataset", files={"file": ("people.csv", b"a,b\n1,2\n", "text/csv")})
    data = answer.json()["data"]
    boundary = data["name"].partition("boundary=")[2]
    assert data["name"].startswith("multipart/form-data")
    assert f"--{boundary}--" in data["description"]
    assert "a,b\n1,2\n" in data["description"]


def test_upload_refused_early(signed_in: httpx.Client, upstream: Upstream) -> None:
    """An error that a service raises before it has read everything reaches the client."""
    upstream.on(UPLOAD, failing(grpc.StatusCode.INVALID_ARGUMENT, "UNSUPPORTED_FILE_TYPE", "no table"))
    content = b"x" * (4 * MEBIBYTE)
    answer = signed_in.post("/upload/dataset", content=content, headers={"content-type": "image/png"})
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "UNSUPPORTED_FILE_TYPE"


def test_download_is_streamed(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A file comes as it is made, with the service's type, name and metadata, and without the envelope."""
    first_chunk_seen = threading.Event()

    def export(request: Any, context: Any) -> Iterator[httpbody_pb2.HttpBody]:
        context.send_initial_metadata(
            (("x-raw-body", "1"), ("content-disposition", 'attachment; filename="people.csv"'), ("x-seed", "42"))
        )
        yield httpbody_pb2.HttpBody(content_type="text/csv", data=f"a,b,{request.format}\n".encode())
        assert first_chunk_seen.wait(30)
        for _ in range(64):
            yield httpbody_pb2.HttpBody(data=b"x" * 65536)

    upstream.on(EXPORT, export)
    with signed_in.stream("GET", "/datasets/d1/export?format=csv") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv"
        assert answer.headers["content-disposition"] == 'attachment; filename="people.csv"'
        assert answer.headers["x-seed"] == "42"
        assert "x-raw-body" not in answer.headers
        chunks = answer.iter_bytes()
        received = next(chunks)
        assert received.startswith(b"a,b,csv\n")
        first_chunk_seen.set()
        assert len(received) + sum(map(len, chunks)) == 8 + 64 * 65536


def test_json_file_is_no_envelope(signed_in: httpx.Client, upstream: Upstream) -> None:
    """An export in JSON is the file itself, whatever its type, and isn't changed on the way."""

    def export(_request: Any, _context: Any) -> Iterator[httpbody_pb2.HttpBody]:
        yield httpbody_pb2.HttpBody(content_type="application/json", data=b'[{"a": 1},\n')
        yield httpbody_pb2.HttpBody(data=b' {"a": 2}]')

    upstream.on(EXPORT, export)
    answer = signed_in.get("/datasets/d1/export?format=json", headers={"accept-encoding": "gzip"})
    assert answer.content == b'[{"a": 1},\n {"a": 2}]'
    assert answer.headers["cache-control"] == "no-store, no-transform"


def test_error_of_a_download(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A download that can't begin is an error like any other."""

    def export(request: Any, context: Any) -> Iterator[httpbody_pb2.HttpBody]:
        failing(grpc.StatusCode.FAILED_PRECONDITION, "DATASET_NOT_READY", "still reading")(request, context)
        yield httpbody_pb2.HttpBody()

    upstream.on(EXPORT, export)
    answer = signed_in.get("/datasets/d1/export")
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "DATASET_NOT_READY"


def _export_of(length: int, announced: int) -> Any:
    def export(_request: Any, context: Any) -> Iterator[httpbody_pb2.HttpBody]:
        context.send_initial_metadata((("x-raw-body", "1"), ("x-content-length", str(announced))))
        yield httpbody_pb2.HttpBody(content_type="application/vnd.apache.parquet", data=b"x" * length)

    return export


def test_announced_length(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A length that the service knows is announced, so that a client can show progress."""
    upstream.on(EXPORT, _export_of(1000, announced=1000))
    answer = signed_in.get("/datasets/d1/export?format=parquet")
    assert answer.headers["content-length"] == "1000"
    assert len(answer.content) == 1000


def test_download_that_breaks_off_is_noticed(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Fewer bytes than announced are an error to the client, not a short file."""
    upstream.on(EXPORT, _export_of(1000, announced=2000))
    with pytest.raises(httpx.RemoteProtocolError):
        signed_in.get("/datasets/d1/export?format=parquet")


def test_leaving_ends_the_download(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A service doesn't go on making a file that nobody waits for."""

    def export(_request: Any, context: Any) -> Iterator[httpbody_pb2.HttpBody]:
        while context.is_active():
            yield httpbody_pb2.HttpBody(content_type="text/csv", data=b"x" * 65536)

    upstream.on(EXPORT, export)
    with signed_in.stream("GET", "/datasets/d1/export") as answer:
        next(answer.iter_bytes())
    assert upstream.last_call.ended.wait(30)


def test_rows_for_a_json_request(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A request with a JSON body may be answered by a stream of bytes, its path and body in one message."""

    def sample(request: model_pb2.SampleModelRequest, _context: Any) -> Iterator[httpbody_pb2.HttpBody]:
        for number in range(request.n):
            yield httpbody_pb2.HttpBody(content_type="application/x-ndjson", data=b'{"n": %d}\n' % number)

    upstream.on(SAMPLE, sample)
    answer = signed_in.post("/generation/models/m1/sample", json={"n": 3, "conditions": {"a": [1, None, "x"]}})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["n"] for line in answer.text.splitlines()] == [0, 1, 2]
    assert upstream.last_call.requests[0].model_id == "m1"


def test_key_set_is_raw(client: httpx.Client, upstream: Upstream) -> None:
    """The signing keys are what the standard says, not an envelope around it."""
    answer = client.get("/.well-known/jwks.json")
    assert answer.json().keys() == {"keys"}
    upstream.on(KEY_SET, failing(grpc.StatusCode.INTERNAL, "INTERNAL", "no keys"))
    assert error_of(client.get("/.well-known/jwks.json"))["code"] == "INTERNAL"


def test_upload_cut_off_by_the_client(gateway: RunningEnvoy, upstream: Upstream, signed_in: httpx.Client) -> None:
    """When a client breaks off, the service's call ends, and the length it was promised shows what is missing."""
    received: list[int] = []

    def upload(requests: Iterator[Any], _context: Any) -> dataset_pb2.Dataset:
        received.extend(len(request.body.data) for request in requests)
        return dataset_pb2.Dataset()

    upstream.on(UPLOAD, upload)
    head = (
        "POST /upload/dataset HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n"
        f"Authorization: {signed_in.headers['authorization']}\r\n\r\n"
    )
    with socket.create_connection((gateway.host, gateway.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"x" * 100)
        until(lambda: [call for call in upstream.calls if call.path == UPLOAD], "the upload's start")
    assert upstream.last_call.ended.wait(30)
    assert sum(received) < int(upstream.last_call.metadata["x-upload-length"])
