"""What those who run the gateway see: health, the access log, and what happens while a service is away."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2, session_pb2
from tests.gateway.conftest import wait_until_serving
from tests.gateway.envoy import RunningEnvoy, running_envoy, until
from tests.gateway.rpcs import GET_ME, LIST_ROWS, LOGIN
from tests.gateway.test_errors import error_of
from tests.gateway.upstream import Upstream, failing, running_upstream
from tests.support.tokens import Tokens


@pytest.mark.parametrize("path", ["/health", "/api/health", "/api/v1/health", "/health?now"])
def test_healthy(client: httpx.Client, path: str) -> None:
    """While every service serves, health is 200 in the common shape."""
    answer = client.get(path)
    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is True
    assert body["data"] == {"status": "healthy"}
    assert body["timestamp"].endswith("Z")


def test_unhealthy_while_a_service_is_away(gateway: RunningEnvoy, client: httpx.Client, upstream: Upstream) -> None:
    """When a service says that it doesn't serve, health is 503 and so is what it would have answered."""
    upstream.refuse()
    try:
        until(lambda: client.get("/health").status_code == 503, "the news that a service is away")
        answer = client.get("/health")
        assert error_of(answer)["code"] == "UNAVAILABLE"
        assert int(answer.headers["retry-after"]) > 0
        until(
            lambda: client.post("/auth/login", json={}).status_code == 503, "the same news of auth, checked by itself"
        )
        assert error_of(client.post("/auth/login", json={}))["code"] == "UNAVAILABLE"
    finally:
        upstream.serve()
        until(lambda: client.get("/health").status_code == 200, "the news that it is back")


def test_unhealthy_while_a_service_lacks_something(
    gateway: RunningEnvoy, client: httpx.Client, upstream: Upstream
) -> None:
    """When what a service stands on is away, health is 503; calls still reach the service, which can say more."""
    upstream.on(LOGIN, failing(grpc.StatusCode.UNAVAILABLE, "DATABASE_AWAY", "The database can't be reached."))
    upstream.lack()
    try:
        until(lambda: client.get("/health").status_code == 503, "the news that something is away")
        assert error_of(client.post("/auth/login", json={}))["code"] == "DATABASE_AWAY"
    finally:
        upstream.serve()
        until(lambda: client.get("/health").status_code == 200, "the news that it is back")


def test_unhealthy_while_one_service_of_several_is_away(
    tmp_path: Path, upstream: Upstream, tokens: Tokens, settings_for: Callable[..., GatewaySettings]
) -> None:
    """One service that can't be reached makes the platform unhealthy, while the others go on serving."""
    with running_upstream() as dataset:
        settings = settings_for(upstream, dataset_address=dataset.address)
        upstream.on(GET_ME, lambda _request, _context: account_pb2.User())
        headers = {"authorization": f"Bearer {tokens.user()}"}
        with running_envoy(tmp_path, settings) as envoy:
            wait_until_serving(envoy, tokens)
            dataset.refuse()
            until(lambda: httpx.get(f"{envoy.url}/health").status_code == 503, "the news that a service is away")
            assert httpx.get(f"{envoy.url}/auth/me", headers=headers).status_code == 200
            until(
                lambda: httpx.get(f"{envoy.url}/datasets", headers=headers).status_code == 503,
                "the same news of where calls go, checked by itself",
            )


def test_service_that_dies(
    tmp_path: Path, upstream: Upstream, tokens: Tokens, settings_for: Callable[..., GatewaySettings]
) -> None:
    """A service that dies over a request is 503 in the common shape."""
    called = threading.Event()
    with running_upstream() as dataset:
        dataset.on(LIST_ROWS, lambda _request, context: _wait_for_the_end(called, context))
        headers = {"authorization": f"Bearer {tokens.user()}"}
        with running_envoy(tmp_path, settings_for(upstream, dataset_address=dataset.address)) as envoy:
            wait_until_serving(envoy, tokens)
            with ThreadPoolExecutor() as executor:
                answer = executor.submit(httpx.get, f"{envoy.url}/datasets/d1/data", headers=headers, timeout=30)
                assert called.wait(30)
                dataset.stop()
                assert answer.result().status_code == 503
                assert error_of(answer.result())["code"] == "UNAVAILABLE"


def _wait_for_the_end(called: threading.Event, context: grpc.ServicerContext) -> None:
    called.set()
    until(lambda: not context.is_active(), "the service's end")


def test_access_log(gateway: RunningEnvoy, upstream: Upstream, client: httpx.Client, tokens: Tokens) -> None:
    """Each request is one line of JSON with who, what, how it ended and how long it took."""
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User())
    user = "0197b1c0-0000-7000-8000-000000000001"
    headers = {"authorization": f"Bearer {tokens.user(user)}", "user-agent": 'browser "one"'}
    answer = client.get("/api/v1/auth/me", headers=headers)
    entry = _entry(gateway, answer)
    assert entry["timestamp"].endswith("Z")
    assert entry["service"] == "gateway"
    assert entry["user_id"] == user
    assert entry["method"] == "GET"
    assert entry["path"] == "/auth/me"
    assert entry["rpc"] == "AccountService.GetMe"
    assert entry["status"] == 200
    assert entry["grpc_status"] == "OK"
    assert entry["duration_ms"] >= 0
    assert entry["bytes_sent"] == len(answer.content)
    assert entry["client"] == "127.0.0.1"
    assert entry["user_agent"] == 'browser "one"'
    assert entry["upstream"] == "auth"


def test_access_log_of_errors(gateway: RunningEnvoy, signed_in: httpx.Client, upstream: Upstream) -> None:
    """A failed request is logged with the code that the client saw."""
    upstream.on(GET_ME, failing(grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND", "gone"))
    entry = _entry(gateway, signed_in.get("/auth/me"))
    assert (entry["status"], entry["grpc_status"], entry["error_code"]) == (404, "NotFound", "USER_NOT_FOUND")


def test_access_log_of_everything(gateway: RunningEnvoy, client: httpx.Client) -> None:
    """Every request is in the log: probes of health, and what has no route, too."""
    assert _entry(gateway, client.get("/health"))["path"] == "/health"
    assert _entry(gateway, client.get("/nothing"))["path"] == "/nothing"


def test_access_log_keeps_secrets(gateway: RunningEnvoy, client: httpx.Client, upstream: Upstream) -> None:
    """Neither tokens, nor passwords, nor anything of a query gets into the log."""
    upstream.on(LOGIN, lambda _request, _context: session_pb2.TokenPair(access_token="secret-answer"))
    answers = (
        client.post("/auth/login", json={"password": "secret-password"}),
        client.get("/auth/me", headers={"authorization": "Bearer secret-token"}),
        client.get("/datasets/d1/watch?ticket=secret-ticket"),
        client.get(
            "/nothing?password=secret-query", headers={"cookie": "secret-cookie", "referer": "http://x/?secret"}
        ),
    )
    for answer in answers:  # an entry comes a moment after its answer
        _entry(gateway, answer)
    log = str(gateway.access_log())
    assert "/datasets/d1/watch" in log
    assert "secret" not in log


def _entry(gateway: RunningEnvoy, answer: httpx.Response) -> dict[str, Any]:
    request_id = answer.headers["x-request-id"]
    return until(
        lambda: next((entry for entry in gateway.access_log() if entry["request_id"] == request_id), None),
        "the request's line in the access log",
    )
