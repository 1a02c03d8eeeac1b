"""How often callers may come: whose bucket a request takes from, and what is answered to who comes too often."""

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.settings import GatewaySettings
from mirage import AsyncClient
from mirage.auth.v1 import account_pb2, account_pb2_grpc, session_pb2
from mirage.cli.app import run
from mirage.cli.exit_codes import UNAVAILABLE
from mirage.credentials import FileCredentialStore, MemoryCredentialStore
from mirage.credentials import Tokens as KeptTokens
from mirage.dataset.v1 import dataset_pb2
from mirage.errors import LimitExceeded
from tests.gateway.conftest import wait_until_serving
from tests.gateway.envoy import RunningEnvoy, running_envoy, until
from tests.gateway.raw import exchange
from tests.gateway.rpcs import GET_ME, ISSUE_TOKEN, LOGIN, UPDATE_ME, WATCH
from tests.gateway.test_errors import error_of
from tests.gateway.test_protocols import frame
from tests.gateway.upstream import Upstream, failing
from tests.support.tokens import Tokens

LIST_DATASETS = "/mirage.dataset.v1.DatasetService/ListDatasets"
LIST_SESSIONS = "/mirage.auth.v1.SessionService/ListSessions"
ORIGIN = "http://localhost:3000"

LIMITS = """
default: 4/hour
signed_out: 3/hour
health: 1000/day
docs: 3/hour
classes:
  sign_in:
    limit: 3/hour
    together: true
    rpcs: [mirage.auth.v1.SessionService/Login, mirage.auth.v1.TokenService/IssueToken]
  me: {limit: 5/hour, rpcs: [mirage.auth.v1.AccountService/GetMe]}
  quick: {limit: 2/second, rpcs: [mirage.auth.v1.AccountService/UpdateMe]}
  slow: {limit: 20/day, rpcs: [mirage.auth.v1.SessionService/ListSessions]}
  watch: {limit: 2/hour, rpcs: [mirage.*/Watch*]}
"""

_addresses = count(2)


@pytest.fixture(scope="module")
def limited_gateway(
    shared_upstream: Upstream,
    settings_for: Callable[..., GatewaySettings],
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningEnvoy]:
    directory = tmp_path_factory.mktemp("limited")
    file = directory / "limits.yaml"
    file.write_text(LIMITS)
    settings = settings_for(shared_upstream, rate_limits=str(file))
    with running_envoy(directory, settings, threads=2) as envoy:
        wait_until_serving(envoy, tokens)
        yield envoy


@pytest.fixture
def limited(limited_gateway: RunningEnvoy, upstream: Upstream) -> Iterator[RunningEnvoy]:
    """A gateway with the limits above, two threads, and services that answer."""
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))
    upstream.on(UPDATE_ME, lambda _request, _context: account_pb2.User(user_id="u1"))
    upstream.on(LOGIN, lambda _request, _context: session_pb2.TokenPair(token_type="Bearer"))
    upstream.on(ISSUE_TOKEN, lambda _request, _context: httpbody_pb2.HttpBody(data=b"{}"))
    upstream.on(LIST_DATASETS, lambda _request, _context: dataset_pb2.ListDatasetsResponse())
    upstream.on(LIST_SESSIONS, lambda _request, _context: session_pb2.ListSessionsResponse())
    yield limited_gateway
    assert not limited_gateway.script_errors()


@contextmanager
def caller(gateway: RunningEnvoy, token: str = "", **options: Any) -> Iterator[httpx.Client]:
    """A client at an address of loopback that nobody else has; with a token, where one is given."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.HTTPTransport(local_address=f"127.0.0.{next(_addresses)}", **options)
    with httpx.Client(base_url=gateway.url, transport=transport, headers=headers, timeout=30) as client:
        yield client


def spend(client: httpx.Client, path: str, times: int) -> list[int]:
    """The statuses of so many GETs of a path."""
    return [client.get(path).status_code for _ in range(times)]


def test_answers_tell_what_is_left(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Each answer tells the limit, what is left of it, and when all of it is there again."""
    with caller(limited, tokens.user()) as client:
        for used in range(1, 6):
            answer = client.get("/auth/me", headers={"origin": ORIGIN})
            assert answer.status_code == 200
            told = {name: answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")}
            assert (told["limit"], told["remaining"]) == ("5", str(5 - used))
            assert 1 <= int(told["reset"]) <= used * 720
            assert {f"x-ratelimit-{name}" for name in told} <= set(
                answer.headers["access-control-expose-headers"].split(",")
            )


def test_over_the_limit(limited: RunningEnvoy, tokens: Tokens, upstream: Upstream) -> None:
    """Who comes too often is told so in the common shape, with the limit and the seconds; the service isn't asked."""
    with caller(limited, tokens.user()) as client:
        assert spend(client, "/auth/me", 5) == [200] * 5
        upstream.calls.clear()
        answer = client.get("/auth/me", headers={"origin": ORIGIN})
    assert answer.status_code == 429
    assert not upstream.calls
    seconds = int(answer.headers["retry-after"])
    assert 1 <= seconds <= 720
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("5", "0")
    assert seconds <= int(answer.headers["x-ratelimit-reset"]) <= 3600
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "retry-after" in answer.headers["access-control-expose-headers"]
    assert answer.headers["cache-control"] == "no-store"
    assert "x-rate-limited" not in answer.headers
    error = error_of(answer)
    assert error["code"] == "RATE_LIMIT_EXCEEDED"
    assert "5 requests in an hour" in error["message"]
    assert f"{seconds} second" in error["message"]
    info, retry = error["details"]
    assert info["reason"] == "RATE_LIMIT_EXCEEDED"
    ids = {"request_id": answer.headers["x-request-id"], "trace_id": info["metadata"]["trace_id"]}
    assert info["metadata"] == {"limit": "5", "window_seconds": "3600", "retry_after_seconds": str(seconds), **ids}
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": f"{seconds}s"}


def test_users_have_their_own(limited: RunningEnvoy, tokens: Tokens) -> None:
    """One user's requests leave another's alone; the same user's count together, from anywhere and by any token."""
    with caller(limited, tokens.user("ada")) as ada, caller(limited, tokens.user("ben")) as ben:
        assert spend(ada, "/auth/me", 6) == [200] * 5 + [429]
        assert spend(ben, "/auth/me", 5) == [200] * 5
    with caller(limited, tokens.user("ada", scope="datasets:read")) as elsewhere:
        assert spend(elsewhere, "/auth/me", 1) == [429]


def test_every_spelling_counts_as_one(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Prefixes, aliases, native gRPC and grpc-web are the same RPC, so they take from the same bucket."""
    token = tokens.user()
    with caller(limited, token) as client:
        paths = ("/datasets", "/api/datasets", "/api/v1/upload/datasets", "/upload/datasets", "/datasets?page_size=2")
        assert [client.get(path).status_code for path in paths] == [200] * 4 + [429]
        assert [client.get(path).status_code for path in ("/auth/me", "/api/v1/auth/me")] == [200] * 2
        web = client.post(
            GET_ME, content=frame(account_pb2.GetMeRequest()), headers={"content-type": "application/grpc-web+proto"}
        )
        assert web.headers["x-ratelimit-remaining"] == "2"
        with grpc.insecure_channel(limited.target) as channel:
            get_me = account_pb2_grpc.AccountServiceStub(channel).GetMe
            metadata = (("authorization", f"Bearer {token}"),)
            _, call = get_me.with_call(account_pb2.GetMeRequest(), metadata=metadata, timeout=30)
            assert ("x-ratelimit-remaining", "1") in call.initial_metadata()
        assert [client.head("/auth/me").status_code, client.get("/auth/me").status_code] == [200, 429]


def test_over_the_limit_by_grpc(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Over native gRPC it is RESOURCE_EXHAUSTED, with the same details."""
    token = tokens.user()
    with caller(limited, token) as client:
        spend(client, "/auth/me", 5)
    with grpc.insecure_channel(limited.target) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        metadata = (("authorization", f"Bearer {token}"),)
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetMe(account_pb2.GetMeRequest(), metadata=metadata, timeout=30)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "5 requests in an hour" in str(refused.value.details())
    _is_told(rpc_status.from_call(refused.value))


def test_over_the_limit_by_grpc_web(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Over grpc-web it is the same status with the same details, which a page may read."""
    with caller(limited, tokens.user()) as client:
        spend(client, "/auth/me", 5)
        headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": ORIGIN}
        answer = client.post(GET_ME, content=frame(account_pb2.GetMeRequest()), headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/grpc-web")
    assert int(answer.headers["grpc-status"]) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert "5 requests in an hour" in answer.headers["grpc-message"]
    assert {"grpc-status-details-bin", "retry-after"} <= set(answer.headers["access-control-expose-headers"].split(","))
    status = rpc_status.status_pb2.Status.FromString(base64.b64decode(answer.headers["grpc-status-details-bin"]))
    _is_told(status)


def _is_told(status: Any) -> None:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain, info.metadata["limit"]) == ("RATE_LIMIT_EXCEEDED", "mirage", "5")
    assert info.metadata["retry_after_seconds"] == str(retry.retry_delay.seconds)
    assert 1 <= retry.retry_delay.seconds <= 720


def test_it_fills_again(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Requests are let in again as time passes."""
    with caller(limited, tokens.user()) as client, ThreadPoolExecutor(10) as executor:

        def put(_number: int = 0) -> int:
            return client.put("/auth/me", json={}).status_code

        until(lambda: 429 in list(executor.map(put, range(10))), "the limit")
        until(lambda: put() == 200, "the next one that is let in")


def test_headers_of_others(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Headers that name somebody or somewhere else neither open a bucket of their own nor take from another's."""
    forged = {
        "x-user-id": "victim",
        "x-forwarded-for": "203.0.113.9",
        "x-real-ip": "203.0.113.9",
        "forwarded": "for=203.0.113.9",
        "x-envoy-external-address": "203.0.113.9",
        "x-mirage-user": "victim",
        "x-ratelimit-limit": "1000",
        "x-rate-limited": "1",
    }
    with caller(limited) as nobody, caller(limited, tokens.user("mallory")) as mallory:
        mallory.headers.update(forged)
        assert spend(mallory, "/auth/me", 6) == [200] * 5 + [429]
        nobody.headers.update(forged)
        answers = [nobody.post("/auth/login", json={}).status_code for _ in range(4)]
        assert answers == [200] * 3 + [429]
        for number in range(3):
            nobody.headers["x-forwarded-for"] = f"203.0.113.{number}"
            assert nobody.post("/auth/login", json={}).status_code == 429
    with caller(limited, tokens.user("victim")) as victim:
        assert spend(victim, "/auth/me", 5) == [200] * 5


def test_tokens_that_are_not_good(limited: RunningEnvoy, tokens: Tokens) -> None:
    """A forged or expired token takes nothing from whom it names; whoever tries them is stopped by their address."""
    victim = "victim-of-tokens"
    head, claims, _ = tokens.user(victim).split(".")
    attempts = [
        Tokens().user(victim),  # by another key
        f"{head}.{claims}.{'A' * 86}",
        tokens.user(victim, exp=int(time.time()) - 60),
        "x.y.z",
        tokens.ticket(WATCH, {"dataset_id": "d1"}),
    ]
    with caller(limited) as attacker:
        answers = [
            attacker.get(path, headers={"authorization": f"Bearer {token}"}).status_code
            for token, path in zip(attempts, ("/auth/me", "/datasets", "/auth/me", "/users", "/auth/me"), strict=True)
        ]
        assert answers == [401] * 3 + [429] * 2
        # Who shares the address with them and has a good token doesn't notice.
        attacker.headers["authorization"] = f"Bearer {tokens.user(victim)}"
        assert spend(attacker, "/auth/me", 5) == [200] * 5
    with caller(limited) as elsewhere:
        assert spend(elsewhere, "/auth/me", 3) == [401] * 3


def test_signing_in_counts_by_address(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Both ways of giving a password count together by address; a token that comes along opens no other bucket."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    with caller(limited) as client, caller(limited) as elsewhere:
        assert client.post("/auth/login", json={}).status_code == 200
        assert client.post("/api/v1/auth/token", content=b"grant_type=password", headers=form).status_code == 200
        assert client.post("/api/auth/login", json={}).status_code == 200
        for number in range(2):
            token = {"authorization": f"Bearer {tokens.user(f'user-{number}')}"}
            assert client.post("/auth/login", json={}, headers=token).status_code == 429
        assert client.post("/auth/token", content=b"grant_type=password", headers=form).status_code == 429
        assert elsewhere.post("/auth/login", json={}).status_code == 200


def test_pages_and_health(limited: RunningEnvoy) -> None:
    """The documentation's pages count together by address, below every prefix; health has a limit of its own."""
    with caller(limited) as client:
        statuses = [client.get(path).status_code for path in ("/docs", "/api/redoc", "/api/v1/openapi.json", "/docs")]
        assert statuses == [200] * 3 + [429]
        assert error_of(client.get("/openapi.json"))["code"] == "RATE_LIMIT_EXCEEDED"
        left = [int(client.get(path).headers["x-ratelimit-remaining"]) for path in ("/health", "/api/v1/health")]
        assert left[0] > left[1] > 900
        assert client.head("/docs").status_code == 429
    host, port = limited.host, limited.port
    raw = exchange(host, port, b"HEAD /docs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert raw.status == 200
    assert raw.body == b""


def test_heads_over_the_limit(limited: RunningEnvoy) -> None:
    """A HEAD that is refused has no body, over HTTP/1.1 and HTTP/2, and leaves the connection good."""
    for is_http2 in (False, True):
        with caller(limited, http1=not is_http2, http2=is_http2) as client:
            assert [client.head("/docs").status_code for _ in range(5)] == [200] * 3 + [429] * 2
            assert client.get("/health").status_code == 200


def test_preflights_count_for_nothing(limited: RunningEnvoy, tokens: Tokens) -> None:
    """A browser's question whether it may ask takes nothing, nor does the question for the methods of a route."""
    with caller(limited, tokens.user()) as client:
        asked = {"origin": ORIGIN, "access-control-request-method": "GET"}
        assert [client.options("/auth/me", headers=asked).status_code for _ in range(6)] == [200] * 6
        assert [client.options("/auth/me").status_code for _ in range(6)] == [204] * 6
        assert client.get("/auth/me").headers["x-ratelimit-remaining"] == "4"


def test_streams_count_once(limited: RunningEnvoy, tokens: Tokens, upstream: Upstream) -> None:
    """A stream takes one request when it is opened, whatever it sends, and one opened by a ticket is its user's."""
    events = [dataset_pb2.DatasetEvent(sequence=number) for number in range(50)]
    upstream.on(WATCH, lambda _request, _context: iter(events))
    user = "0197b1c0-0000-7000-8000-00000000000a"
    ticket = tokens.ticket(WATCH, {"dataset_id": "d1"}, sub=user)
    with caller(limited) as client:
        opened = client.get(f"/datasets/d1/watch?ticket={ticket}")
        assert (opened.status_code, opened.headers["x-ratelimit-remaining"]) == (200, "1")
        assert opened.text.count("data:") == 50
        client.headers["authorization"] = f"Bearer {tokens.user(user)}"
        assert spend(client, "/datasets/d1/watch", 2) == [200, 429]


def test_all_threads_count_together(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Many requests at once, over many connections and both of Envoy's threads, get exactly what the limit says."""
    token = tokens.user()
    limits = httpx.Limits(max_keepalive_connections=0)  # a connection for each
    with caller(limited, token, limits=limits) as client, ThreadPoolExecutor(20) as executor:
        statuses = list(executor.map(lambda _: client.get("/auth/sessions").status_code, range(60)))
    assert (statuses.count(200), statuses.count(429)) == (20, 40)


def test_others_push_nobody_out(limited: RunningEnvoy, tokens: Tokens) -> None:
    """Who has spent their requests gets no fresh ones by making the gateway meet many others."""
    with caller(limited, tokens.user()) as client:
        spend(client, "/auth/me", 5)
        for number in range(60):
            other = {"authorization": f"Bearer {tokens.user(f'other-{number}')}"}
            assert client.get("/auth/me", headers=other).status_code == 200
        assert spend(client, "/auth/me", 1) == [429]


def test_it_is_logged(limited: RunningEnvoy, tokens: Tokens) -> None:
    """A refused request is an event in the log, with the user or the address, the path and the limit."""
    user = "0197b1c0-0000-7000-8000-00000000000b"
    with caller(limited, tokens.user(user)) as client:
        spend(client, "/auth/me", 5)
        by_user = client.get("/api/v1/auth/me")
    with caller(limited) as client:
        spend(client, "/docs", 3)
        by_address = client.get("/docs")
    entry = _event(limited, by_user)
    assert (entry["level"], entry["service"], entry["user_id"]) == ("warning", "gateway", user)
    told = entry["metadata"]
    assert (told["event"], told["path"], told["limit"]) == ("rate_limit_exceeded", "/auth/me", "5")
    assert (told["rpc"], told["retry_after_seconds"]) == ("AccountService.GetMe", by_user.headers["retry-after"])
    entry = _event(limited, by_address)
    assert entry["user_id"] is None
    assert entry["metadata"]["client_address"].startswith("127.0.0.")
    assert (entry["metadata"]["path"], entry["metadata"]["limit"]) == ("/docs", "3")


def _event(gateway: RunningEnvoy, answer: httpx.Response) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        entries = (entry for entry in gateway.access_log() if entry["message"] == "rate_limit_exceeded")
        return next((entry for entry in entries if entry["request_id"] == answer.headers["x-request-id"]), None)

    return until(found, "the event in the log")


def test_the_services_own_limits_are_told_as_they_are(
    limited: RunningEnvoy, tokens: Tokens, upstream: Upstream
) -> None:
    """Where a service refuses for a limit of its own, that one stands in the headers."""
    upstream.on(
        GET_ME,
        failing(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "RATE_LIMIT_EXCEEDED",
            "Too many attempts.",
            error_details_pb2.RetryInfo(retry_delay={"seconds": 31}),
            limit="10",
        ),
    )
    with caller(limited, tokens.user()) as client:
        answer = client.get("/auth/me")
    assert answer.status_code == 429
    assert (answer.headers["x-ratelimit-limit"], answer.headers["retry-after"]) == ("10", "31")


def test_off(gateway: RunningEnvoy, signed_in: httpx.Client, upstream: Upstream) -> None:
    """With limits switched off nothing is counted, and no answer tells of any."""
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))
    answers = [signed_in.get("/auth/me") for _ in range(30)]
    assert {answer.status_code for answer in answers} == {200}
    assert not [name for name in answers[-1].headers if name.startswith("x-ratelimit")]


async def test_the_client_waits(limited: RunningEnvoy, tokens: Tokens, upstream: Upstream) -> None:
    """The client library makes a call that came too early again after the seconds that it was told, and once only."""
    store = MemoryCredentialStore()
    signs_in(store, limited, tokens.user())
    async with AsyncClient(limited.url, store=store) as client:
        for _ in range(5):
            await client.account.update(display_name="Ada")
    assert len([call for call in upstream.calls if call.path == UPDATE_ME]) == 5


async def test_the_client_gives_up(
    limited: RunningEnvoy,
    tokens: Tokens,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where it would take too long the client says so at once, and the command line tells how long to wait."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("MIRAGE_URL", limited.url)
    store = FileCredentialStore()
    signs_in(store, limited, tokens.user())
    async with AsyncClient(limited.url, store=store) as client:
        for _ in range(20):
            await client.account.sessions()
        with pytest.raises(LimitExceeded) as refused:
            await client.account.sessions()
    assert refused.value.reason == "RATE_LIMIT_EXCEEDED"
    assert 60 < (refused.value.retry_after_s or 0) <= 86_400 / 20
    code = await asyncio.to_thread(run, ["sessions"])
    told = capsys.readouterr().err
    assert code == UNAVAILABLE
    assert "Too many requests: at most 20 requests in a day." in told
    assert told.count("Try again in") == 1


def signs_in(store: MemoryCredentialStore | FileCredentialStore, gateway: RunningEnvoy, token: str) -> None:
    """Keeps a token as if somebody had signed in."""
    with store.locked():
        store.save(gateway.url, KeptTokens(token, "none", time.time() + 1800, "ada@example.org"))
