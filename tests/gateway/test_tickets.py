"""Tickets for streams in the query, and the token endpoint's forms, at the gateway."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import grpc
import httpx
import pytest
from google.api import httpbody_pb2

from deploy.local.services import SERVICES
from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2
from mirage.dataset.v1 import dataset_pb2, dataset_pb2_grpc
from servicekit.tickets import ticket_audience
from tests.gateway.envoy import RunningEnvoy, until
from tests.gateway.rpcs import EXPORT, GET_ME, ISSUE_TOKEN, WATCH
from tests.gateway.test_errors import error_of
from tests.gateway.upstream import Upstream
from tests.support.tokens import AUDIENCE, Tokens

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def ticket(tokens: Tokens) -> str:
    """A ticket for the stream of one dataset."""
    return tokens.ticket(WATCH, {"dataset_id": "d1"})


@pytest.fixture(autouse=True)
def _behaviours(upstream: Upstream) -> None:
    def watch(request: Any, _context: Any) -> Iterator[dataset_pb2.DatasetEvent]:
        yield dataset_pb2.DatasetEvent(dataset_id=request.dataset_id)

    upstream.on(WATCH, watch)
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))


@pytest.mark.parametrize(
    ("path", "resume_token"),
    [
        ("/datasets/d1/watch?ticket={}", ""),
        ("/api/v1/datasets/d1/watch?resume_token=t&ticket={}", "t"),
        ("/api/datasets/d1/watch?ticket={}&resume_token=t", "t"),
        ("/datasets/d1/watch?&ticket={}&", ""),
    ],
)
def test_ticket_in_the_query(
    client: httpx.Client, upstream: Upstream, ticket: str, path: str, resume_token: str
) -> None:
    """A stream opens by a ticket in its URL, which reaches the service as a header beside the other parameters."""
    answer = client.get(path.format(ticket))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    call = upstream.last_call
    assert call.metadata["x-stream-ticket"] == ticket
    assert "authorization" not in call.metadata
    assert call.requests[0].resume_token == resume_token
    assert not [value for name, value in call.metadata.items() if ticket in value and name != "x-stream-ticket"]


def test_tickets_are_in_no_log(client: httpx.Client, gateway: RunningEnvoy, upstream: Upstream, ticket: str) -> None:
    """Neither the access log nor Envoy's own holds a ticket, good, bad, or one too many."""
    request_id = client.get(f"/datasets/d1/watch?ticket={ticket}").headers["x-request-id"]
    client.get(f"/datasets/d1/watch?ticket=bad{ticket}")
    client.get(f"/datasets/d1/watch?ticket={ticket}&ticket={ticket}")
    client.get(f"/nowhere?ticket={ticket}")
    last = client.post(f"/auth/login?ticket={ticket}", json={}).headers["x-request-id"]
    until(lambda: last in {entry["request_id"] for entry in gateway.access_log()}, "the last entry")
    logs = gateway.access_log_file.read_text() + gateway.log_file.read_text()
    assert request_id in logs
    assert ticket.rpartition(".")[2] not in logs


@pytest.mark.parametrize(
    "path", ["/auth/me", "/datasets/d1", "/datasets", "/datasets/d1/export", "/datasets/d1/download-url"]
)
def test_tickets_open_streams_only(client: httpx.Client, upstream: Upstream, ticket: str, path: str) -> None:
    """Where no events are streamed, a ticket in the query is nothing, and no service is asked."""
    answer = client.get(f"{path}?ticket={ticket}")
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "UNAUTHENTICATED"
    assert not [call for call in upstream.calls if call.path in (GET_ME, EXPORT)]


def test_a_ticket_is_no_token_nor_the_other_way(
    client: httpx.Client, upstream: Upstream, tokens: Tokens, ticket: str
) -> None:
    """A ticket in the header that is for tokens, an access token in the query, and a ticket as a header are refused."""
    bearer = {"authorization": f"Bearer {ticket}"}
    assert client.get("/auth/me", headers=bearer).status_code == 401
    assert client.get("/datasets/d1/watch", headers=bearer).status_code == 401
    assert client.get(f"/datasets/d1/watch?ticket={tokens.user()}").status_code == 401
    assert client.get("/datasets/d1/watch", headers={"x-stream-ticket": ticket}).status_code == 401
    assert not [call for call in upstream.calls if call.path in (WATCH, GET_ME)]


def test_tickets_that_are_not_good(client: httpx.Client, upstream: Upstream, tokens: Tokens) -> None:
    """Expired, endless, foreign, malformed and empty tickets are refused at the edge; two are a wrong request."""
    wrong = [
        tokens.ticket(WATCH, {"dataset_id": "d1"}, exp=int(time.time()) - 60),
        tokens.ticket(WATCH, {"dataset_id": "d1"}, exp=None),
        tokens.ticket(WATCH, {"dataset_id": "d1"}, iss="somebody-else"),
        Tokens().ticket(WATCH, {"dataset_id": "d1"}),
        "nonsense",
        "",
        "%00",
        "%0d%0ax-user-id:1",
    ]
    for ticket in wrong:
        answer = client.get(f"/datasets/d1/watch?ticket={ticket}")
        assert answer.status_code == 401, ticket
        assert error_of(answer)["code"] == "UNAUTHENTICATED"
    good = tokens.ticket(WATCH, {"dataset_id": "d1"})
    assert client.get(f"/datasets/d1/watch?ticket={good}&ticket={good}").status_code == 400
    assert not [call for call in upstream.calls if call.path == WATCH]


def test_access_tokens_still_open_streams(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Programs go on as before."""
    assert signed_in.get("/datasets/d1/watch").status_code == 200
    assert "x-stream-ticket" not in upstream.last_call.metadata


def test_tickets_over_grpc(gateway: RunningEnvoy, ticket: str) -> None:
    """There is no way for a ticket past the query: as metadata it is dropped."""
    with grpc.insecure_channel(gateway.target) as channel:
        stub = dataset_pb2_grpc.DatasetServiceStub(channel)
        request = dataset_pb2.WatchDatasetRequest(dataset_id="d1")
        with pytest.raises(grpc.RpcError) as error:
            list(stub.WatchDataset(request, metadata=(("x-stream-ticket", ticket),), timeout=30))
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_edge_and_the_services_mean_the_same_audience() -> None:
    """What Envoy asks of a ticket is what auth puts into it."""
    address = "127.0.0.1:1"
    addresses: dict[str, Any] = dict.fromkeys((f"{service}_address" for service in SERVICES), address)
    settings = GatewaySettings(**addresses)
    assert settings.ticket_audience == ticket_audience(settings.token_audience)
    assert settings.token_audience == AUDIENCE


@pytest.mark.parametrize("prefix", ["", "/api", "/api/v1"])
def test_forms_reach_the_token_endpoint(client: httpx.Client, upstream: Upstream, prefix: str) -> None:
    """A form arrives as it is, with its type; the answer goes out raw, with the service's status and headers."""

    def issue(request: Any, context: Any) -> httpbody_pb2.HttpBody:
        assert request.body.data == b"grant_type=password&username=ada%40example.org"
        context.send_initial_metadata(
            (
                ("x-raw-body", "1"),
                ("x-http-code", "401"),
                ("cache-control", "no-store"),
                ("pragma", "no-cache"),
                ("www-authenticate", 'Basic realm="mirage"'),
            )
        )
        return httpbody_pb2.HttpBody(content_type="application/json", data=b'{"error": "invalid_client"}')

    upstream.on(ISSUE_TOKEN, issue)
    form = urlencode({"grant_type": "password", "username": "ada@example.org"})
    answer = client.post(f"{prefix}/auth/token", content=form, headers={"content-type": f"{FORM}; charset=UTF-8"})
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
    assert answer.headers["www-authenticate"] == 'Basic realm="mirage"'
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert not [name for name in answer.headers if name in ("x-raw-body", "x-http-code")]
    assert upstream.last_call.requests[0].body.content_type == f"{FORM}; charset=UTF-8"


def test_other_bodies_reach_the_token_endpoint_too(client: httpx.Client, upstream: Upstream) -> None:
    """What is no form is refused by the endpoint, in OAuth's words; elsewhere a form is still no JSON."""
    upstream.on(ISSUE_TOKEN, lambda request, _context: httpbody_pb2.HttpBody(data=request.body.data or b"empty"))
    assert client.post("/auth/token", json={"grant_type": "password"}).content == b'{"grant_type":"password"}'
    assert client.post("/auth/token").content == b"empty"
    assert client.get("/auth/token").status_code == 405
    assert client.post("/auth/login", content=b"a=b", headers={"content-type": FORM}).status_code == 415
