"""Who gets in: tokens, roles, hosts, origins, and headers that nobody outside may set."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.contracts import read_descriptor_set, routed_rpcs
from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2, account_pb2_grpc, session_pb2
from tests.gateway.conftest import wait_until_serving
from tests.gateway.envoy import RunningEnvoy, running_envoy
from tests.gateway.raw import exchange
from tests.gateway.rpcs import GET_ME, KEY_SET, LOGIN
from tests.gateway.test_errors import error_of
from tests.gateway.upstream import Upstream
from tests.support.tokens import Tokens

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.fixture(autouse=True)
def _account(upstream: Upstream) -> None:
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))
    upstream.on(LOGIN, lambda _request, _context: session_pb2.TokenPair(token_type="Bearer"))


def test_nobody_signed_in(client: httpx.Client, upstream: Upstream) -> None:
    """Without a token a route for users is 401, and the service isn't even asked."""
    answer = client.get("/auth/me")
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "UNAUTHENTICATED"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not [call for call in upstream.calls if call.path == GET_ME]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody-else"},
        {"aud": "something-else"},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"nbf": int(time.time()) + 600},
    ],
)
def test_tokens_that_are_not_good(client: httpx.Client, tokens: Tokens, claims: dict[str, Any]) -> None:
    """A token of another issuer, for another audience, expired, endless or of the future is refused."""
    answer = client.get("/auth/me", headers={"authorization": f"Bearer {tokens.user(**claims)}"})
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x.y.z", "Basic dTpw", "{token}", "Token {token}"])
def test_headers_that_are_no_tokens(client: httpx.Client, tokens: Tokens, header: str) -> None:
    """Anything else in the header is nobody."""
    answer = client.get("/auth/me", headers={"authorization": header.format(token=tokens.user()).strip()})
    assert answer.status_code == 401


def test_token_with_other_claims(client: httpx.Client, tokens: Tokens) -> None:
    """Claims that the signature wasn't made over are refused."""
    head, _, signature = tokens.user().split(".")
    _, claims, _ = tokens.administrator().split(".")
    answer = client.get("/auth/me", headers={"authorization": f"Bearer {head}.{claims}.{signature}"})
    assert answer.status_code == 401


def test_token_of_another_key(client: httpx.Client) -> None:
    """A token whose key auth doesn't publish is refused, though all else is right."""
    answer = client.get("/auth/me", headers={"authorization": f"Bearer {Tokens().user()}"})
    assert answer.status_code == 401


def test_token_in_the_query_counts_for_nothing(client: httpx.Client, tokens: Tokens) -> None:
    """Tokens in addresses end up in logs and histories, so they aren't taken from there."""
    assert client.get(f"/auth/me?access_token={tokens.user()}").status_code in (400, 401)


def test_open_routes_take_no_notice_of_tokens(client: httpx.Client) -> None:
    """Whoever signs in may still carry an old token."""
    answer = client.post("/auth/login", json={}, headers={"authorization": "Bearer old"})
    assert answer.status_code == 200


def test_token_reaches_the_service(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Services check the token again for themselves, so they get it."""
    signed_in.get("/auth/me")
    assert upstream.last_call.metadata["authorization"] == signed_in.headers["authorization"]


@pytest.mark.parametrize("rpc", routed_rpcs(read_descriptor_set()), ids=lambda rpc: rpc.title)
def test_every_route_wants_what_its_contract_says(client: httpx.Client, rpc: Any) -> None:
    """Over every spelling of its address, an RPC is open exactly where its contract says so."""
    attempts = [
        client.request(
            binding.verb, prefix + binding.template.replace("{", "").replace("}", ""), json={} if binding.body else None
        )
        for binding in rpc.bindings
        for prefix in ("", "/api/v1")
    ]
    refused = [answer.status_code == 401 for answer in attempts]
    native = client.post(rpc.path, content=b"\0\0\0\0\0", headers={"content-type": "application/grpc"})
    refused.append(native.headers.get("grpc-status") == str(grpc.StatusCode.UNAUTHENTICATED.value[0]))
    assert refused == [not rpc.is_open] * len(refused)


def test_spoofed_headers_are_dropped(signed_in: httpx.Client, upstream: Upstream) -> None:
    """What only the gateway may say doesn't get past it from outside."""
    spoofed = {
        "x-user-id": "admin",
        "x-user-role": "administrator",
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-host": "evil.example",
        "x-real-ip": "203.0.113.9",
        "forwarded": "for=203.0.113.9",
        "x-upload-length": "1",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-external-address": "203.0.113.9",
        "x-envoy-original-path": "/forged",
        "grpc-timeout": "1n",
        "grpc-encoding": "gzip",
    }
    assert signed_in.get("/auth/me", headers=spoofed).status_code == 200
    metadata = upstream.last_call.metadata
    assert metadata["x-forwarded-for"] == "127.0.0.1"
    assert metadata["x-envoy-original-path"] == "/auth/me"
    left = spoofed.keys() - {"x-forwarded-for", "x-envoy-original-path"}
    assert not left & metadata.keys()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost:1234", "127.0.0.1"])
def test_allowed_hosts(signed_in: httpx.Client, host: str) -> None:
    """A host that is allowed is served, whatever its case and port."""
    assert signed_in.get("/auth/me", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/auth/me", "/docs", "/nothing", "/api/v1/datasets", GET_ME])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.2:8080", "[::1]"])
def test_other_hosts(signed_in: httpx.Client, host: str, path: str) -> None:
    """A host that isn't allowed is 421, whatever is asked of it."""
    answer = signed_in.get(path, headers={"host": host})
    assert answer.status_code == 421
    assert error_of(answer)["code"] == "HOST_NOT_ALLOWED"


def test_health_needs_no_allowed_host(client: httpx.Client) -> None:
    """A cluster's probes name an address as the host; they are answered."""
    assert client.get("/health", headers={"host": "10.1.2.3:8080"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/auth/me", 200),
        ("GET", "/health", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/.well-known/jwks.json", 200),
        ("GET", "/nothing", 404),
        ("POST", "/auth/login", 415),
        ("GET", "/datasets?x=1", 400),
        ("GET", "/datasets", 501),
        ("OPTIONS", "/auth/me", 200),
    ],
)
def test_security_headers_on_every_answer(signed_in: httpx.Client, method: str, path: str, status: int) -> None:
    """Successes, errors, pages and preflights carry the security headers and don't tell what server it is."""
    headers = {"origin": "http://localhost:3000", "access-control-request-method": "GET"}
    content = b"x" if method == "POST" else None
    answer = signed_in.request(method, path, headers=headers, content=content)
    assert answer.status_code == status
    for name, value in SECURITY_HEADERS.items():
        if path != "/docs" or name != "content-security-policy":
            assert answer.headers[name] == value
    assert answer.headers["server"] == "mirage"


@pytest.mark.parametrize(
    ("request_line", "headers", "status", "told"),
    [
        ("GET /auth%2Fme HTTP/1.1", "Host: localhost", 400, b"encoded slash"),
        ("GET /auth/me HTTP/1.1", "Host: localhost\r\nX-Large: " + "x" * 100_000, 431, b"headers are too large"),
        ("GET /auth/me HTTP/1.1", "", 400, b"no header Host"),
        ("GET /auth/me HTTP/1.1", "Host: evil.example", 421, b"host name"),
        ("GET /auth/me HTTP/1.0", "Host: localhost", 426, b"HTTP/1.0"),
        ("POST /auth/login HTTP/1.1", "Host: localhost\r\nTransfer-Encoding: other", 400, b"Transfer-Encoding"),
        ("GET /auth/me HTTP/1.1", "Host: localhost\r\nContent-Length: -1", 400, b"not well-formed"),
    ],
)
def test_requests_that_end_before_any_filter(
    gateway: RunningEnvoy, request_line: str, headers: str, status: int, told: bytes
) -> None:
    """Answers that Envoy makes before its filters see the request have the shape and headers, and say what is wrong."""
    request = "\r\n".join(filter(None, (request_line, headers, "Connection: close"))) + "\r\n\r\n"
    answer = exchange(gateway.host, gateway.port, request.encode())
    assert answer.status == status
    assert b'"success":false' in answer.body
    assert told in answer.body
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value


def test_preflight_of_an_allowed_origin(client: httpx.Client) -> None:
    """A browser on an allowed origin may send every method and header that the routes take."""
    asked = {
        "origin": "http://localhost:3000",
        "access-control-request-method": "DELETE",
        "access-control-request-headers": "authorization,content-type,idempotency-key",
    }
    answer = client.options("/api/v1/upload/datasets/x", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].split(",")
    assert {"authorization", "content-type", "idempotency-key"} <= set(allowed)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:3001", "null", "http://localhost:3000.evil"]
)
def test_other_origins(signed_in: httpx.Client, origin: str) -> None:
    """To any other origin neither preflight nor answer grants anything."""
    preflight = signed_in.options("/auth/me", headers={"origin": origin, "access-control-request-method": "GET"})
    answer = signed_in.get("/auth/me", headers={"origin": origin})
    for headers in (preflight.headers, answer.headers):
        assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/auth/me", "/nothing", "/datasets?x=1", "/datasets"])
def test_origin_may_read_every_answer(signed_in: httpx.Client, path: str) -> None:
    """Errors, too, are readable by an allowed origin, and so is what stands in their headers."""
    answer = signed_in.get(path, headers={"origin": "http://localhost:3000"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "retry-after" in answer.headers["access-control-expose-headers"]


def test_any_origin_in_development(
    tmp_path: Path, upstream: Upstream, tokens: Tokens, settings_for: Callable[..., GatewaySettings]
) -> None:
    """`CORS_ORIGINS=*` lets every origin in, and `ALLOWED_HOSTS=*` every host."""
    settings = settings_for(upstream, cors_origins="*", allowed_hosts="*")
    with running_envoy(tmp_path, settings) as envoy:
        wait_until_serving(envoy, tokens)
        headers = {"origin": "http://anywhere.example", "host": "anything.example", "authorization": "Bearer x"}
        answer = httpx.get(f"{envoy.url}/auth/me", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "http://anywhere.example"
        assert answer.status_code == 401


def test_keys_that_cannot_be_fetched(
    tmp_path: Path, upstream: Upstream, tokens: Tokens, settings_for: Callable[..., GatewaySettings]
) -> None:
    """While auth can't be asked for its keys a good token is 503, not 401, and all is well soon after auth is back."""
    key_set = upstream.behaviours.pop(KEY_SET)
    headers = {"authorization": f"Bearer {tokens.user()}"}
    with running_envoy(tmp_path, settings_for(upstream)) as envoy:
        answer = httpx.get(f"{envoy.url}/auth/me", headers=headers)
        assert answer.status_code == 503
        assert error_of(answer)["code"] == "UNAVAILABLE"
        assert httpx.get(f"{envoy.url}/auth/me").status_code == 401
        upstream.on(KEY_SET, key_set)
        wait_until_serving(envoy, tokens)
        assert httpx.get(f"{envoy.url}/auth/me", headers=headers).status_code == 200


def test_rpc_for_users_over_grpc(gateway: RunningEnvoy, tokens: Tokens) -> None:
    """Native gRPC needs a token as REST does, and says so by its own status."""
    with grpc.insecure_channel(gateway.target) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetMe(account_pb2.GetMeRequest(), timeout=30)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", f"Bearer {tokens.user()}"),)
        assert stub.GetMe(account_pb2.GetMeRequest(), timeout=30, metadata=metadata).user_id == "u1"
