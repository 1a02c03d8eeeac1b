"""Failures over REST: those of services, and those that Envoy makes, all in one shape."""

import re
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from mirage.auth.v1 import account_pb2, session_pb2
from tests.gateway.rpcs import GET_ME, UPDATE_ME
from tests.gateway.upstream import Upstream, failing


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, after a look at the shape around it."""
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert body.keys() == {"success", "error", "timestamp"}
    assert body["success"] is False
    assert body["timestamp"].endswith("Z")
    error: dict[str, Any] = body["error"]
    assert error.keys() == {"code", "message", "details"}
    return error


def own_error_info(answer: httpx.Response, reason: str) -> dict[str, Any]:
    """The detail that an error of the gateway's own has: with the ids that the answer's headers name."""
    ids = {"request_id": answer.headers["x-request-id"], "trace_id": answer.headers["x-trace-id"]}
    assert re.fullmatch("(?!0{32})[0-9a-f]{32}", ids["trace_id"])
    type_name = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": type_name, "reason": reason, "domain": "mirage", "metadata": ids}


def test_reason_message_and_details(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A service's reason becomes the code, and its details are all there, wrong fields included."""
    wrong = error_details_pb2.BadRequest(
        field_violations=[
            {"field": "model_config.epochs", "description": "must be at least 10"},
            {"field": "seed", "description": 'must be a "number"'},
        ]
    )
    upstream.on(
        GET_ME, failing(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", 'two "wrong" fields', wrong, a="b")
    )
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == "INVALID_REQUEST"
    assert error["message"] == 'two "wrong" fields'
    info, bad_request = error["details"]
    assert info["metadata"] == {"a": "b"}
    assert [violation["field"] for violation in bad_request["field_violations"]] == ["model_config.epochs", "seed"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400),
        (grpc.StatusCode.FAILED_PRECONDITION, 400),
        (grpc.StatusCode.OUT_OF_RANGE, 400),
        (grpc.StatusCode.UNAUTHENTICATED, 401),
        (grpc.StatusCode.PERMISSION_DENIED, 403),
        (grpc.StatusCode.NOT_FOUND, 404),
        (grpc.StatusCode.ALREADY_EXISTS, 409),
        (grpc.StatusCode.ABORTED, 409),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
        (grpc.StatusCode.INTERNAL, 500),
        (grpc.StatusCode.UNIMPLEMENTED, 501),
        (grpc.StatusCode.UNAVAILABLE, 503),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    ],
)
def test_status_of_each_code(signed_in: httpx.Client, upstream: Upstream, code: grpc.StatusCode, status: int) -> None:
    """The gRPC code decides the HTTP status; the reason is told whatever the code."""
    upstream.on(GET_ME, failing(code, "SOME_REASON", "so it is"))
    answer = signed_in.get("/auth/me")
    assert answer.status_code == status
    assert error_of(answer)["code"] == "SOME_REASON"


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "FILE_TOO_LARGE", 413),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "DATASET_TOO_LARGE", 413),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE", 413),
        (grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED_FILE_TYPE", 400),
        (grpc.StatusCode.DATA_LOSS, "CHECKSUM_MISMATCH", 400),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "UPLOAD_TOO_SLOW", 408),
    ],
)
def test_reason_decides_where_the_code_is_coarse(
    signed_in: httpx.Client, upstream: Upstream, code: grpc.StatusCode, reason: str, status: int
) -> None:
    """A file too large is 413, not 429, whatever its gRPC code."""
    upstream.on(GET_ME, failing(code, reason, "too much"))
    answer = signed_in.get("/auth/me")
    assert answer.status_code == status
    assert error_of(answer)["code"] == reason


def test_reason_in_a_message_is_no_reason(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A text that looks like a detail, sent back in a message, doesn't become the code."""
    forged = '"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"FILE_TOO_LARGE"'
    upstream.on(GET_ME, failing(grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND", forged, text=forged))
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 404
    error = error_of(answer)
    assert error["code"] == "USER_NOT_FOUND"
    assert error["message"] == forged


def test_error_without_details(signed_in: httpx.Client, upstream: Upstream) -> None:
    """An error that names no reason has its gRPC code's name."""
    upstream.on(GET_ME, lambda _request, context: context.abort(grpc.StatusCode.NOT_FOUND, "é \x01 %41 nothing"))
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 404
    info = own_error_info(answer, "NOT_FOUND")
    assert error_of(answer) == {"code": "NOT_FOUND", "message": "é \x01 %41 nothing", "details": [info]}


def test_a_service_that_stops_in_the_middle(signed_in: httpx.Client, upstream: Upstream) -> None:
    """What the service cancelled, and not its caller, is told as unavailable, to be tried again."""
    upstream.on(GET_ME, lambda _request, context: context.abort(grpc.StatusCode.CANCELLED, "CANCELLED"))
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    error = error_of(answer)
    assert (error["code"], error["message"]) == ("UNAVAILABLE", "The service is just being restarted. Try again soon.")


def test_details_of_an_unknown_type(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Details that the gateway can't show still leave code and message in the common shape."""

    def behave(_request: Any, context: Any) -> None:
        status = status_pb2.Status(code=5, message='not "here"')
        status.details.add(type_url="type.googleapis.com/unknown.v1.Thing", value=b"\x08\x01")
        context.abort_with_status(rpc_status.to_status(status))

    upstream.on(GET_ME, behave)
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 404
    info = own_error_info(answer, "NOT_FOUND")
    assert error_of(answer) == {"code": "NOT_FOUND", "message": 'not "here"', "details": [info]}


def test_retry_info_becomes_retry_after(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Throttling by a service tells HTTP clients how long to wait, in whole seconds, rounded up."""
    delay = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2, nanos=500_000_000))
    upstream.on(GET_ME, failing(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS", "wait", delay))
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"


def test_error_after_metadata(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A service that has sent headers and fails then still gives an error, not half an envelope."""

    def behave(request: Any, context: Any) -> Any:
        context.send_initial_metadata((("x-message", "Done"), ("x-http-code", "201")))
        return failing(grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND", "gone")(request, context)

    upstream.on(GET_ME, behave)
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "USER_NOT_FOUND"


def test_nothing_internal_in_headers(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Neither gRPC's own headers nor Envoy's reach a REST client."""
    upstream.on(GET_ME, failing(grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND", "gone"))
    names = set(signed_in.get("/auth/me").headers)
    assert not {"grpc-message", "grpc-status-details-bin", "grpc-accept-encoding"} & names
    assert not [name for name in names if name.startswith("x-envoy-")]


def test_service_without_the_rpc(signed_in: httpx.Client) -> None:
    """An RPC that a service doesn't have yet is 501."""
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 501
    assert error_of(answer)["code"] == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("POST", "/nothing"), ("GET", "/"), ("HEAD", "/auth"), ("GET", "/docs/nothing")],
)
def test_unknown_route(signed_in: httpx.Client, method: str, path: str) -> None:
    """A path that no route has is 404."""
    answer = signed_in.request(method, path)
    assert answer.status_code == 404
    if method != "HEAD":
        assert error_of(answer)["code"] == "ROUTE_NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    [
        "/mirage.auth.v1.ServiceIdentityService/IssueServiceToken",
        "/mirage.dataset.v1.SourceService/GetSource",
        "/mirage.generation.v1.DependentService/ListDependents",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_internal_services_are_unknown(signed_in: httpx.Client, path: str) -> None:
    """What services say to each other can't be reached from outside."""
    assert error_of(signed_in.post(path, json={}))["code"] == "ROUTE_NOT_FOUND"
    native = signed_in.post(path, content=b"\0\0\0\0\0", headers={"content-type": "application/grpc"})
    assert native.headers["grpc-status"] == str(grpc.StatusCode.UNIMPLEMENTED.value[0])


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"display_name": 7', b'{"display_name": {}}', b"\xff\xfe", b'"text"', b'{"display_name": ["a"]}'],
)
def test_malformed_json(signed_in: httpx.Client, upstream: Upstream, body: bytes) -> None:
    """A body that is no JSON, or not of the request's types, is 400 and never reaches the service."""
    upstream.on(UPDATE_ME, lambda _request, _context: account_pb2.User())
    answer = signed_in.put("/auth/me", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == "INVALID_REQUEST"
    assert error["message"]
    assert not [call for call in upstream.calls if call.path == UPDATE_ME]


@pytest.mark.parametrize("query", ["nothing=1", "state=NO_SUCH_STATE", "page_size=many"])
def test_wrong_query(signed_in: httpx.Client, query: str) -> None:
    """A parameter that the route doesn't have, or that is of another type, is 400."""
    answer = signed_in.get(f"/datasets?{query}")
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"email=a&password=b"),
        ("text/plain", b"{}"),
        ("multipart/form-data; boundary=x", b"--x--"),
        (None, b"{}"),
        ("application/jsonp", b"{}"),
    ],
)
def test_other_content_types(client: httpx.Client, content_type: str | None, body: bytes) -> None:
    """A body of another kind than JSON is 415 where JSON is expected."""
    answer = client.post(
        "/api/auth/login", content=body, headers={"content-type": content_type} if content_type else {}
    )
    assert answer.status_code == 415
    assert error_of(answer)["code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json ;charset=UTF-8"]
)
def test_spellings_of_json(signed_in: httpx.Client, upstream: Upstream, content_type: str) -> None:
    """JSON is JSON however its type is written."""
    upstream.on(UPDATE_ME, lambda _request, _context: account_pb2.User())
    headers = {"content-type": content_type}
    assert signed_in.put("/auth/me", content=b"{}", headers=headers).status_code == 200


def test_no_body_needs_no_content_type(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A request without a body, as `curl -X POST` sends it, is fine where nothing in it is needed."""
    upstream.on(
        "/mirage.auth.v1.SessionService/Logout", lambda _request, _context: session_pb2.LogoutResponse(ended_sessions=1)
    )
    assert signed_in.post("/auth/logout").status_code == 200


def test_request_too_large_for_a_service(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A request larger than a service takes is 413 although the gRPC library says no reason."""
    message = "CLIENT: Received message larger than max (9 vs. 8)"
    upstream.on(GET_ME, lambda _request, context: context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, message))
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "REQUEST_TOO_LARGE"
