"""Streams in a real browser: an EventSource on a page of another origin, with a ticket for a token."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from gateway.settings import GatewaySettings
from mirage.auth.v1 import stream_ticket_pb2
from mirage.dataset.v1 import dataset_pb2
from tests.gateway.conftest import wait_until_serving
from tests.gateway.envoy import RunningEnvoy, running_envoy
from tests.gateway.rpcs import CREATE_TICKET, WATCH
from tests.gateway.upstream import Upstream
from tests.support.browser import browser
from tests.support.tokens import Tokens

__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.slow

# What a page does: asks for a ticket with its token, follows the stream, and keeps what it sees.
SCRIPT = """
async ([api, token, stream]) => {
  const seen = window.seen = {events: [], errors: 0, state: 0};
  const answer = await fetch(api + '/auth/stream-ticket', {
    method: 'POST',
    headers: {'authorization': 'Bearer ' + token, 'content-type': 'application/json'},
    body: JSON.stringify({stream}),
  });
  const {data} = await answer.json();
  const source = new EventSource(api + data.url);
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    seen.events.push(event.sequence);
    if (event.sequence === 3) source.close();
    seen.state = source.readyState;
  };
  source.onerror = () => { seen.errors += 1; seen.state = source.readyState; };
}
"""


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_arguments: Any) -> None:
        """Says nothing."""


@contextmanager
def serving_page(directory: Path) -> Iterator[str]:
    """Serves an empty page; yields its origin."""
    (directory / "index.html").write_text("<!doctype html><title>Somebody's page</title>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    """Where somebody's web page is served."""
    directory = tmp_path / "page"
    directory.mkdir()
    with serving_page(directory) as address:
        yield address


@pytest.fixture
def envoy(
    tmp_path: Path, upstream: Upstream, settings_for: Callable[..., GatewaySettings], tokens: Tokens, origin: str
) -> Iterator[RunningEnvoy]:
    """A gateway that lets pages of this origin call."""
    with running_envoy(tmp_path, settings_for(upstream, cors_origins=(origin,))) as running:
        wait_until_serving(running, tokens)
        yield running
        assert not running.script_errors()


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    """A browser on that page."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(origin)
    yield page
    context.close()


def giving_tickets(tokens: Tokens, **claims: Any) -> Callable[[Any, Any], stream_ticket_pb2.StreamTicket]:
    """What auth does: a ticket for the stream that is asked for."""

    def create(request: Any, _context: Any) -> stream_ticket_pb2.StreamTicket:
        dataset_id = request.stream.split("/")[2]
        ticket = tokens.ticket(WATCH, {"dataset_id": dataset_id}, **claims)
        return stream_ticket_pb2.StreamTicket(ticket=ticket, url=f"{request.stream}?ticket={ticket}")

    return create


def test_an_event_source_with_a_ticket(page: Page, envoy: RunningEnvoy, upstream: Upstream, tokens: Tokens) -> None:
    """A page of an allowed origin follows a stream by its ticket, and again by itself after the stream broke off."""
    connections: list[str] = []

    def watch(request: Any, context: Any) -> Iterator[dataset_pb2.DatasetEvent]:
        connections.append(dict(context.invocation_metadata())["x-stream-ticket"])
        for number in (1, 2) if len(connections) == 1 else (1, 2, 3):  # the first connection breaks off before the end
            yield dataset_pb2.DatasetEvent(dataset_id=request.dataset_id, sequence=number)

    upstream.on(CREATE_TICKET, giving_tickets(tokens))
    upstream.on(WATCH, watch)
    page.evaluate(SCRIPT, [envoy.url, tokens.user(), "/datasets/d1/watch"])
    page.wait_for_function("window.seen.state === EventSource.CLOSED", timeout=30_000)
    assert page.evaluate("window.seen.events") == [1, 2, 1, 2, 3]
    assert len(connections) == 2
    assert connections[0] == connections[1]


def test_a_ticket_that_is_over(page: Page, envoy: RunningEnvoy, upstream: Upstream, tokens: Tokens) -> None:
    """A browser gives up on a ticket that is refused, and doesn't try for ever; the page can ask for another."""
    upstream.on(CREATE_TICKET, giving_tickets(tokens, exp=1))
    upstream.on(WATCH, lambda _request, _context: iter([dataset_pb2.DatasetEvent(sequence=3)]))
    page.evaluate(SCRIPT, [envoy.url, tokens.user(), "/datasets/d1/watch"])
    page.wait_for_function("window.seen.state === EventSource.CLOSED", timeout=30_000)
    assert page.evaluate("window.seen") == {"events": [], "errors": 1, "state": 2}
    upstream.on(CREATE_TICKET, giving_tickets(tokens))
    page.evaluate(SCRIPT, [envoy.url, tokens.user(), "/datasets/d1/watch"])
    page.wait_for_function("window.seen.state === EventSource.CLOSED", timeout=30_000)
    assert page.evaluate("window.seen.events") == [3]


def test_a_page_of_another_origin(
    browser: Browser, envoy: RunningEnvoy, upstream: Upstream, tokens: Tokens, tmp_path: Path
) -> None:
    """A page that isn't allowed sees nothing of a stream, even if it got hold of a ticket."""
    upstream.on(WATCH, lambda _request, _context: iter([dataset_pb2.DatasetEvent(sequence=1)]))
    url = f"{envoy.url}/datasets/d1/watch?ticket={tokens.ticket(WATCH, {'dataset_id': 'd1'})}"
    directory = tmp_path / "other"
    directory.mkdir()
    with serving_page(directory) as origin:
        context = browser.new_context()
        page = context.new_page()
        page.goto(origin)
        seen = page.evaluate(
            """(url) => new Promise((resolve) => {
              const source = new EventSource(url);
              source.onmessage = (message) => resolve(message.data);
              source.onerror = () => resolve(source.readyState);
            })""",
            url,
        )
        context.close()
    assert seen == 2
