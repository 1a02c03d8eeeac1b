"""Requests over HTTP/2 that no library would send: what would mean something else once it is HTTP/1.1 is refused."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from mirage.auth.v1 import account_pb2, session_pb2
from tests.gateway.envoy import RunningEnvoy
from tests.gateway.rpcs import GET_ME, KEY_SET, LOGIN
from tests.gateway.upstream import Upstream
from tests.support.tokens import Tokens

Headers = Sequence[tuple[str, str]]

POST: Headers = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/auth/login")]
GET: Headers = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/auth/me")]
JSON: Headers = [("content-type", "application/json")]

ATTACKS: dict[str, Headers] = {
    "length shorter than the body": [*POST, *JSON, ("content-length", "1")],
    "length longer than the body": [*POST, *JSON, ("content-length", "90")],
    "two lengths": [*POST, *JSON, ("content-length", "2"), ("content-length", "90")],
    "transfer coding": [*POST, *JSON, ("transfer-encoding", "chunked")],
    "connection header": [*POST, *JSON, ("connection", "keep-alive, authorization")],
    "line end in a value": [*POST, *JSON, ("x-a", "b\r\ntransfer-encoding: chunked")],
    "line feed in a value": [*POST, *JSON, ("x-a", "b\nx-user-id: root")],
    "null in a value": [*POST, *JSON, ("x-a", "b\0c")],
    "line end in a name": [*POST, *JSON, ("x-a\r\nx-user-id", "root")],
    "colon in a name": [*POST, *JSON, ("x-a: b", "c")],
    "upper case in a name": [*POST, *JSON, ("X-A", "b")],
    "line end in the path": [*POST[:3], (":path", "/auth/login HTTP/1.1\r\nx-user-id: root"), *JSON],
    "space in the path": [*POST[:3], (":path", "/auth/login HTTP/1.1"), *JSON],
    "line end in the method": [(":method", "POST /auth/me HTTP/1.1\r\nx-a:"), *POST[1:], *JSON],
    "two paths": [*POST, (":path", "/auth/me"), *JSON],
    "two authorities": [*POST, (":authority", "evil.example"), *JSON],
    "another host": [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/auth/login"),
        ("host", "evil.example"),
        *JSON,
    ],
    "no path": [*POST[:3], *JSON],
    "unknown pseudo-header": [*POST, (":evil", "1"), *JSON],
    "pseudo-header at the end": [*POST[:3], *JSON, POST[3]],
    "evil authority, allowed host": [*POST[:2], (":authority", "evil.example"), POST[3], ("host", "localhost"), *JSON],
}


def outcome(gateway: RunningEnvoy, headers: Headers, body: bytes) -> str:
    """The status of the answer; `refused` where the stream or the connection was ended instead."""
    config = h2.config.H2Configuration(
        client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
    )
    protocol = h2.connection.H2Connection(config)
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as connection:
        protocol.initiate_connection()
        protocol.send_headers(1, headers, end_stream=not body)
        if body:
            protocol.send_data(1, body, end_stream=True)
        connection.sendall(protocol.data_to_send())
        with suppress(ConnectionResetError):
            while received := connection.recv(65536):
                for event in protocol.receive_data(received):
                    if isinstance(event, h2.events.ResponseReceived):
                        answered: dict[Any, Any] = dict(event.headers or ())
                        return str(answered[":status"])
                    if isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                        return "refused"
    return "refused"


@pytest.fixture(autouse=True)
def _account(upstream: Upstream) -> None:
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))
    upstream.on(LOGIN, lambda _request, _context: session_pb2.TokenPair())


def test_what_is_right_is_served(gateway: RunningEnvoy, tokens: Tokens) -> None:
    """The way in which these requests are sent works: what is right is answered."""
    assert outcome(gateway, [*POST, *JSON, ("content-length", "2")], b"{}") == "200"
    assert outcome(gateway, [*GET, ("authorization", f"Bearer {tokens.user()}")], b"") == "200"
    assert outcome(gateway, GET, b"") == "401"


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_could_be_read_in_two_ways(gateway: RunningEnvoy, upstream: Upstream, attack: str) -> None:
    """It is refused, and nothing of it reaches a service."""
    assert outcome(gateway, ATTACKS[attack], b"{}") in {"refused", "400", "403", "421"}
    assert [call.path for call in upstream.calls if call.path not in (KEY_SET, "/grpc.health.v1.Health/Check")] == []
