"""What somebody hostile sends: nothing of it gets past the gateway's checks, nor one request inside another."""

import asyncio
import json
import re
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2, session_pb2
from tests.gateway.conftest import wait_until_serving
from tests.gateway.envoy import RunningEnvoy, running_envoy, until
from tests.gateway.rpcs import GET_ME, KEY_SET, LOGIN
from tests.gateway.upstream import Upstream
from tests.support import contracts
from tests.support.tokens import Tokens

# Each spells the path of a call that needs a token, or comes close.
PATHS = [
    "/api/../auth/me",
    "/api/v1/../../auth/me",
    "//auth/me",
    "/api//auth/me",
    "/api/v1/api/v1/auth/me",
    "/api/api/auth/me",
    "/%61uth/me",
    "/auth%2fme",
    "/auth%2Fme",
    "/auth%5Cme",
    "/auth\\me",
    "/AUTH/ME",
    "/API/v1/auth/me",
    "/auth/me/",
    "/auth/./me",
    "/auth/%2e/me",
    "/%2e%2e/auth/me",
    "/auth/me;x=1",
    "/auth/me%00",
    "/auth/me%0d%0aX:%201",
    "/auth/me%20",
    "/auth/me#/.well-known/jwks.json",
    "/.well-known/../auth/me",
    "/.well-known/jwks.json/../../auth/me",
    "/docs/../auth/me",
    "/docs/..%2fauth/me",
    "/health/../auth/me",
    "/auth/login/../me",
    "/auth/login%2f..%2fme",
    "/mirage.auth.v1.KeyService/../mirage.auth.v1.AccountService/GetMe",
    "/mirage.auth.v1.AccountService%2FGetMe",
    "/api/mirage.auth.v1.AccountService/GetMe",
    "auth/me",
    "*",
]

HIDDEN = "GET /auth/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
_PATIENCE_S = 10.0
CHUNKED_END = "0\r\n\r\n"
HEAD = "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

# A second request is hidden behind each of these heads: whoever counts the body otherwise than Envoy would see it.
SMUGGLING = {
    "length and chunks": HEAD + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED_END,
    "chunks and length": HEAD + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED_END,
    "two lengths": HEAD + "Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}",
    "list of lengths": HEAD + "Content-Length: 2, 60\r\n\r\n{}",
    "signed length": HEAD + "Content-Length: +2\r\n\r\n{}",
    "negative length": HEAD + "Content-Length: -1\r\n\r\n{}",
    "hexadecimal length": HEAD + "Content-Length: 0x2\r\n\r\n{}",
    "length too large for a number": HEAD + "Content-Length: 99999999999999999999999\r\n\r\n{}",
    "unknown coding": HEAD + "Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED_END,
    "coding twice": HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNKED_END,
    "coding not last": HEAD + "Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED_END,
    "space before colon": HEAD + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED_END,
    "tab in coding": HEAD + "Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED_END,
    "folded header": HEAD + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED_END,
    "null in header": HEAD + "X-A: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "space in header name": HEAD + "X A: b\r\nContent-Length: 2\r\n\r\n{}",
    "header without name": HEAD + ": chunked\r\nContent-Length: 2\r\n\r\n{}",
    "chunks in HTTP/1.0": HEAD.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n" + CHUNKED_END,
    "chunk size is none": HEAD + "Transfer-Encoding: chunked\r\n\r\nz\r\n{}\r\n" + CHUNKED_END,
    "chunk size negative": HEAD + "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n" + CHUNKED_END,
    "chunk size too large": HEAD + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n" + CHUNKED_END,
    "chunk longer than said": HEAD + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n" + CHUNKED_END,
    "unknown version": HEAD.replace("1.1", "1.9") + "Content-Length: 2\r\n\r\n{}",
    "no version": "GET /auth/login\r\n\r\n",
    "unknown method": HEAD.replace("POST", "P\x01ST") + "Content-Length: 2\r\n\r\n{}",
    "too many headers": HEAD + "".join(f"X-{n}: a\r\n" for n in range(300)) + "Content-Length: 2\r\n\r\n{}",
    "headers too long": HEAD + "X-A: " + "a" * 100_000 + "\r\nContent-Length: 2\r\n\r\n{}",
}

# Lines that end in a line feed alone are taken as ended by some servers and not by others.
BARE_LINE_FEEDS = {
    "everywhere": "POST /auth/login HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n{}",
    "in a header": HEAD + "X-A: a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED_END,
    "in chunks": HEAD + "Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
}


HOSTS: list[tuple[str, str, set[int]]] = [
    ("GET http://evil.example/auth/me HTTP/1.1", "Host: localhost", {400, 421}),
    ("GET https://evil.example/auth/me HTTP/1.1", "Host: localhost", {400, 403, 421}),
    ("GET http://localhost/auth/me HTTP/1.1", "Host: evil.example", {401, 400, 421}),
    ("GET /auth/me HTTP/1.1", "Host: localhost\r\nHost: evil.example", {400, 421}),
    ("GET /auth/me HTTP/1.1", "Host: evil.example\r\nHost: localhost", {400, 421}),
    ("GET /auth/me HTTP/1.1", "Host: localhost, evil.example", {400, 421}),
    ("GET /auth/me HTTP/1.1", "Host: localhost@evil.example", {400, 421}),
    ("GET /auth/me HTTP/1.1", "Host: localhost:80:evil.example", {400, 421}),
    ("GET /auth/me HTTP/1.1", "Host: localhost/evil", {400, 421}),
    ("GET /auth/me HTTP/1.1", "Host: localhost.", {400, 421}),
    ("GET /auth/me HTTP/1.1", "Host:", {400, 421}),
    ("GET /auth/me HTTP/1.1", "X-Forwarded-Host: localhost", {400}),
    ("GET /auth/me HTTP/1.0", "X-A: no host at all", {400, 421, 426}),
    ("CONNECT localhost:80 HTTP/1.1", "Host: localhost", {400, 404, 405, 501}),
    ("TRACE /auth/me HTTP/1.1", "Host: localhost", {400, 404, 405, 501}),
]


@pytest.fixture(autouse=True)
def _account(upstream: Upstream) -> None:
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))


def answers_to(gateway: RunningEnvoy, request: bytes) -> list[int]:
    """The statuses of all that the gateway answers before it closes, or has nothing more to say."""
    with socket.create_connection((gateway.host, gateway.port), timeout=_PATIENCE_S) as connection:
        connection.sendall(request)
        received = b""
        # A reset is a refusal, too: closed with our bytes unread. Silence is an end to requests that seem unfinished.
        with suppress(ConnectionResetError, TimeoutError):
            while chunk := connection.recv(65536):
                received += chunk
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


def calls_but_for_keys(upstream: Upstream) -> list[str]:
    """What reached a service, but for Envoy's own fetching of keys."""
    return [call.path for call in upstream.calls if call.path != KEY_SET and "grpc.health" not in call.path]


def all_answers(gateway: RunningEnvoy, requests: Mapping[str, str]) -> dict[str, list[int]]:
    """The statuses of what the gateway answers to each request, sent beside each other on connections of their own."""
    with ThreadPoolExecutor(len(requests)) as threads:
        answers = threads.map(lambda text: answers_to(gateway, text.encode("latin-1")), requests.values())
        return dict(zip(requests, answers, strict=True))


def test_path_tricks(gateway: RunningEnvoy, upstream: Upstream) -> None:
    """However a path is spelled, what needs a token isn't reached without one."""
    end = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answers = all_answers(gateway, {path: f"GET {path} {end}" for path in PATHS})
    allowed = [[status] for status in (301, 307, 400, 401, 404, 405)]
    assert {path: statuses for path, statuses in answers.items() if statuses not in allowed} == {}
    assert calls_but_for_keys(upstream) == []


def test_requests_inside_requests(gateway: RunningEnvoy, upstream: Upstream, tokens: Tokens) -> None:
    """What can be read in two ways is refused, once, and what hides behind it is never served."""
    hidden = HIDDEN.format(token=tokens.user())
    answers = all_answers(gateway, {name: head + hidden for name, head in SMUGGLING.items()})
    wrong = {
        name: statuses
        for name, statuses in answers.items()
        if len(statuses) > 1 or not all(400 <= status < 600 and status != 401 for status in statuses)
    }
    assert wrong == {}
    assert calls_but_for_keys(upstream) == []


def test_bare_line_feeds(gateway: RunningEnvoy, upstream: Upstream, tokens: Tokens) -> None:
    """A line feed alone hides no header and no second request."""
    hidden = HIDDEN.format(token=tokens.user())
    answers = all_answers(gateway, {name: head + hidden for name, head in BARE_LINE_FEEDS.items()})
    assert {name: statuses for name, statuses in answers.items() if len(statuses) > 1} == {}
    assert GET_ME not in calls_but_for_keys(upstream)


def test_lone_carriage_returns(gateway: RunningEnvoy, upstream: Upstream) -> None:
    """A carriage return alone ends no line, and is gone from what a service hears."""
    upstream.on(LOGIN, lambda _request, _context: session_pb2.TokenPair())
    head = (
        HEAD + "Connection: close\r\nX-A: a\rX-User-Id: root\rTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert answers_to(gateway, head.encode()) == [200]
    metadata = upstream.last_call.metadata
    assert "x-user-id" not in metadata
    assert "\r" not in metadata["x-a"]


def test_host_headers(gateway: RunningEnvoy, upstream: Upstream) -> None:
    """A host that isn't allowed, or that can be read in two ways, is refused."""
    requests = {f"{line}, {headers}": f"{line}\r\n{headers}\r\nConnection: close\r\n\r\n" for line, headers, _ in HOSTS}
    answers = all_answers(gateway, requests)
    wrong = [
        answer for answer, (_, _, allowed) in zip(answers.items(), HOSTS, strict=True) if not {*answer[1]} <= allowed
    ]
    assert wrong == []
    assert [] not in answers.values()
    assert calls_but_for_keys(upstream) == []


def forged_tokens(tokens: Tokens, public_key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Tokens that say what a good one says, and that nobody at auth signed."""
    good = tokens.administrator()
    claims = jwt.decode(good, options={"verify_signature": False})
    headers = {"kid": tokens.key_id}
    another = ec.generate_private_key(ec.SECP256R1())
    pem = public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    by_hand = jwt.api_jws.PyJWS()  # PyJWT itself won't take a public key for a secret
    by_hand._algorithms["HS256"].prepare_key = lambda key: key  # type: ignore[method-assign]
    head, body, signature = good.split(".")
    own_key = {**headers, "jwk": jwt.algorithms.ECAlgorithm.to_jwk(another.public_key(), as_dict=True)}
    return {
        "unsigned": jwt.encode(claims, None, algorithm="none", headers=headers),  # type: ignore[arg-type]
        "signature left out": f"{head}.{body}.",
        "another key": jwt.encode(claims, another, algorithm="ES256", headers=headers),
        "another key, brought along": jwt.encode(claims, another, algorithm="ES256", headers=own_key),
        "unknown key": jwt.encode(claims, another, algorithm="ES256", headers={"kid": "../../etc/passwd"}),
        "no key named": jwt.encode(claims, another, algorithm="ES256"),
        "HMAC by the public key": by_hand.encode(json.dumps(claims).encode(), pem, "HS256", headers=headers),
        "signature of zeros": f"{head}.{body}.{'A' * len(signature)}",
        "audience of tickets": tokens.administrator(aud="mirage-api/streams"),
        "not yet valid": tokens.administrator(nbf=100_000_000_000),
    }


def test_forged_tokens(client: httpx.Client, upstream: Upstream, tokens: Tokens) -> None:
    """A forged token opens nothing, over REST or gRPC, and no service is even asked."""
    public_key = asyncio.run(tokens.key(tokens.key_id))
    for name, token in forged_tokens(tokens, public_key).items():
        header = {"authorization": f"Bearer {token}"}
        assert client.get("/auth/me", headers=header).status_code == 401, name
        native = client.post(GET_ME, content=b"\0\0\0\0\0", headers={**header, "content-type": "application/grpc"})
        assert native.headers.get("grpc-status") in REFUSED, name
    two = [("authorization", f"Bearer {tokens.user()}"), ("authorization", f"Bearer {tokens.administrator()}")]
    assert client.get("/auth/me", headers=two).status_code in (400, 401)
    assert calls_but_for_keys(upstream) == []


def test_forged_tokens_are_security_events(gateway: RunningEnvoy, client: httpx.Client, tokens: Tokens) -> None:
    """A forged token is logged as such, with where it came from and never itself; a missing or expired one is not."""
    public_key = asyncio.run(tokens.key(tokens.key_id))
    refused = {
        client.get("/auth/me", headers={"authorization": f"Bearer {token}"}).headers["x-request-id"]
        for token in forged_tokens(tokens, public_key).values()
        if token.count(".") == 2
    }
    expired = {"authorization": f"Bearer {tokens.user(exp=1_000_000_000)}"}
    innocent = {client.get("/auth/me", headers=headers).headers["x-request-id"] for headers in ({}, expired)}
    last = client.get("/auth/me", headers={"authorization": f"Bearer {tokens.user()}"}).headers["x-request-id"]
    until(lambda: last in {entry["request_id"] for entry in gateway.access_log()}, "the last entry")
    events = {
        entry["request_id"]: entry["metadata"] for entry in gateway.access_log() if entry["message"] == "token_forged"
    }
    assert refused <= events.keys()
    assert not innocent & events.keys()
    assert last not in events
    assert all((event["security"], event["client_address"]) == (True, "127.0.0.1") for event in events.values())
    assert not any(token.split(".")[1] in str(events) for token in forged_tokens(tokens, public_key).values())


def test_what_has_no_route_is_not_reached(client: httpx.Client, upstream: Upstream, tokens: Tokens) -> None:
    """RPCs for services alone can't be called through the gateway, whatever the token and the protocol."""
    hidden = [
        contracts.path_of(method)
        for method in contracts.methods()
        if "http" not in {field.name for field, _ in method.GetOptions().ListFields()}
    ]
    assert "/mirage.auth.v1.RevocationService/WatchRevocations" in hidden
    for path in (
        *hidden,
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ):
        for prefix in ("", "/api/v1"):
            for content_type in ("application/grpc", "application/grpc-web", "application/json"):
                headers = {"content-type": content_type, "authorization": f"Bearer {tokens.service('dataset')}"}
                content = b"{}" if content_type.endswith("json") else b"\0\0\0\0\0"
                answer = client.post(prefix + path, content=content, headers=headers)
                refused = answer.status_code >= 400 or answer.headers.get("grpc-status") not in (None, "0")
                assert refused, (path, content_type)
    assert calls_but_for_keys(upstream) == []


REFUSED = {str(code.value[0]) for code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)}
SPOOFED = {
    "x-raw-body": "1",
    "x-http-code": "500",
    "x-content-length": "3",
    "x-message": "forged",
    "x-envoy-original-path": "/forged",
    "x-envoy-original-method": "DELETE",
    "x-envoy-retry-on": "5xx",
    "x-envoy-decorator-operation": "forged",
    "x-http-method-override": "DELETE",
    "x-original-url": "/admin/users",
    "x-rewrite-url": "/admin/users",
    "x-forwarded-proto": "gopher",
    "x-form-faults": '[["dataset_id","is forged"]]',
}


def test_headers_that_steer_answers(signed_in: httpx.Client, upstream: Upstream) -> None:
    """What a service's answer would be steered by has no effect in a request."""
    plain, spoofed = signed_in.get("/auth/me"), signed_in.get("/auth/me", headers=SPOOFED)
    assert spoofed.status_code == 200
    assert spoofed.json()["data"] == plain.json()["data"]
    assert spoofed.json()["message"] == plain.json()["message"]
    assert [call.path for call in upstream.calls if call.path != KEY_SET] == [GET_ME] * 2


@pytest.mark.parametrize("chain", ["203.0.113.9", "10.0.0.1, 203.0.113.9", "127.0.0.1", "nonsense"])
def test_forwarded_addresses(signed_in: httpx.Client, upstream: Upstream, chain: str) -> None:
    """Where a call comes from is what the gateway sees, whatever the client says of that."""
    signed_in.get("/auth/me", headers=[("x-forwarded-for", chain), ("X-Forwarded-For", "198.51.100.1")])
    assert upstream.last_call.metadata["x-forwarded-for"] == "127.0.0.1"


def test_forwarded_addresses_behind_a_proxy(
    tmp_path: Path, upstream: Upstream, tokens: Tokens, settings_for: Callable[..., GatewaySettings]
) -> None:
    """Behind one trusted proxy services hear the one address that this proxy saw, not what was said to it."""
    with running_envoy(tmp_path, settings_for(upstream, trusted_proxies=1)) as envoy:
        wait_until_serving(envoy, tokens)
        headers = {"authorization": f"Bearer {tokens.user()}", "x-forwarded-for": "6.6.6.6, 203.0.113.9"}
        assert httpx.get(f"{envoy.url}/auth/me", headers=headers).status_code == 200
        assert upstream.last_call.metadata["x-forwarded-for"] == "203.0.113.9"
