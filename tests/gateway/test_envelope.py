"""Successful answers over REST: their shape, the prefixes, and what services say by metadata."""

import datetime
from typing import Any

import httpx
import pytest

from mirage.auth.v1 import account_pb2
from tests.gateway.rpcs import GET_ME, UPDATE_ME
from tests.gateway.upstream import Upstream

ADA = account_pb2.User(user_id="u1", email="ada@example.org", state=account_pb2.USER_STATE_ACTIVE)


@pytest.fixture(autouse=True)
def _account(upstream: Upstream) -> None:
    upstream.on(GET_ME, lambda _request, _context: ADA)


def test_success_is_enveloped(signed_in: httpx.Client) -> None:
    """A unary answer becomes the data of the common shape, with the contract's names and enums by name."""
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"success", "data", "message", "timestamp"}
    assert body["success"] is True
    assert body["message"] == "OK"
    assert body["data"] == {
        "user_id": "u1",
        "email": "ada@example.org",
        "display_name": "",
        "role": "",
        "state": "USER_STATE_ACTIVE",
    }


def test_timestamp_is_now_in_utc(signed_in: httpx.Client) -> None:
    """The timestamp is RFC 3339 in UTC and the time of the answer."""
    timestamp = signed_in.get("/auth/me").json()["timestamp"]
    assert timestamp.endswith("Z")
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(timestamp)
    assert abs(age) < datetime.timedelta(minutes=1)


@pytest.mark.parametrize("prefix", ["", "/api", "/api/v1"])
def test_prefixes(signed_in: httpx.Client, prefix: str) -> None:
    """Every route is served as written, below /api and below /api/v1."""
    assert signed_in.get(f"{prefix}/auth/me").json()["data"]["user_id"] == "u1"


@pytest.mark.parametrize("path", ["/api/api/auth/me", "/api/v2/auth/me", "/apiauth/me", "/api", "/api/v1"])
def test_other_prefixes_are_unknown(signed_in: httpx.Client, path: str) -> None:
    """A prefix is taken off once, and only where it stands alone."""
    assert signed_in.get(path).status_code == 404


def test_message_and_status_from_metadata(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A service may choose the text and the status; what it said them by doesn't reach the client."""

    def behave(_request: Any, context: Any) -> account_pb2.User:
        context.send_initial_metadata((("x-message", 'Changed "it" \\ all'), ("x-http-code", "201")))
        return ADA

    upstream.on(GET_ME, behave)
    answer = signed_in.get("/auth/me")
    assert answer.status_code == 201
    assert answer.json()["message"] == 'Changed "it" \\ all'
    assert not {"x-message", "x-http-code"} & answer.headers.keys()


def test_answer_about_what_is_not_well(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A service may answer whole under a status of errors: the data as they are, and an error in the common shape."""

    def behave(_request: Any, context: Any) -> account_pb2.User:
        down = (("x-http-code", "503"), ("x-error-code", "PLATFORM_DOWN"), ("x-message", 'The "store" is away.'))
        context.send_initial_metadata(down)
        return ADA

    upstream.on(GET_ME, behave)
    answer = signed_in.get("/auth/me")
    told = answer.json()
    assert (answer.status_code, told["success"]) == (503, False)
    assert told["error"] == {"code": "PLATFORM_DOWN", "message": 'The "store" is away.', "details": []}
    assert told["data"]["display_name"] == ADA.display_name
    assert told["timestamp"]
    assert not {"x-message", "x-http-code", "x-error-code"} & answer.headers.keys()


def test_any_text_survives(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Quotes, backslashes, line breaks, controls and every alphabet come through unchanged."""
    name = '"quoted" \\ back\n\t\x01 é 漢字 🙂 %s %d </script>'
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(display_name=name))
    assert signed_in.get("/auth/me").json()["data"]["display_name"] == name


def test_body_and_request_arrive(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A JSON body fills the request, and absent fields stay absent."""
    upstream.on(UPDATE_ME, lambda _request, _context: ADA)
    assert signed_in.put("/api/v1/auth/me", json={"display_name": "Ada"}).status_code == 200
    request = upstream.last_call.requests[0]
    assert request == account_pb2.UpdateMeRequest(display_name="Ada")
    assert not request.HasField("email")


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_large_answers_are_compressed(signed_in: httpx.Client, upstream: Upstream, encoding: str) -> None:
    """JSON travels compressed where the client can read that, envelope included."""
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(display_name="x" * 100_000))
    with signed_in.stream("GET", "/auth/me", headers={"accept-encoding": encoding}) as answer:
        assert answer.headers["content-encoding"] == encoding
        assert sum(map(len, answer.iter_raw())) < 10_000


def test_very_large_answer(signed_in: httpx.Client, upstream: Upstream) -> None:
    """An answer of many megabytes is enveloped like a small one."""
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(display_name="x" * 30_000_000))
    body = signed_in.get("/auth/me", headers={"accept-encoding": "identity"}).json()
    assert len(body["data"]["display_name"]) == 30_000_000


def test_answers_are_not_cached(signed_in: httpx.Client) -> None:
    """What belongs to a person stays out of shared caches."""
    assert signed_in.get("/auth/me").headers["cache-control"] == "no-store"


def test_request_id_is_told(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Service and client get the same request id, made by the gateway and not by the client."""
    answer = signed_in.get("/auth/me", headers={"x-request-id": "mine"})
    assert answer.headers["x-request-id"] == upstream.last_call.metadata["x-request-id"] != "mine"
