"""The documentation in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from mirage.auth.v1 import account_pb2
from mirage.dataset.v1 import dataset_pb2
from tests.gateway.envoy import RunningEnvoy
from tests.gateway.rpcs import GET_ME, UPLOAD
from tests.gateway.upstream import Upstream
from tests.support.browser import browser
from tests.support.tokens import Tokens

__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser: Browser, gateway: RunningEnvoy) -> Iterator[Page]:
    """A page that fails the test where it asks for anything outside, or where its console shows an error."""
    context = browser.new_context(base_url=gateway.url)
    page = context.new_page()
    outside: list[str] = []
    complaints: list[str] = []
    inside = (gateway.url, "data:", f"blob:{gateway.url}")
    page.on("request", lambda request: None if request.url.startswith(inside) else outside.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert outside == []
    assert complaints == []


def _open(page: Page, operation: str) -> Any:
    """Opens an operation of /docs, such as Account-GetMe, and returns it."""
    page.goto("/docs")
    block = page.locator(f"#operations-{operation}")
    block.locator(".opblock-summary-control").click()
    return block


def _authorize(page: Page, token: str) -> None:
    page.locator(".auth-wrapper .authorize").first.click()
    page.locator(".modal-ux input").first.fill(token)
    page.locator(".modal-ux .auth.authorize").first.click()
    page.locator(".modal-ux .btn-done").first.click()


def test_redoc_shows_every_operation(page: Page) -> None:
    """/redoc renders, with its menu, its examples and its search."""
    page.goto("/redoc")
    page.get_by_role("heading", name="Mirage (v1)").wait_for()
    page.get_by_role("heading", name="Starts a job").first.wait_for(state="attached")
    page.get_by_placeholder("Search").fill("synthetic")
    page.locator("[data-role='search:results'] li").first.wait_for()


def test_docs_show_every_operation(page: Page, gateway: RunningEnvoy) -> None:
    """/docs lists every operation of the document."""
    document = page.request.get("/openapi.json").json()
    page.goto("/docs")
    page.locator(".opblock").first.wait_for()
    assert page.locator(".opblock").count() == sum(len(verbs) for verbs in document["paths"].values())


def test_try_it_out(page: Page, upstream: Upstream, tokens: Tokens) -> None:
    """A reader authorizes with a token, calls a route from the page and reads the answer."""
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(email="ada@example.org"))
    block = _open(page, "Account-GetMe")
    _authorize(page, tokens.user())
    block.locator(".execute").click()
    answer = block.locator(".live-responses-table")
    answer.wait_for()
    assert "ada@example.org" in answer.inner_text()
    assert upstream.last_call.metadata["authorization"].startswith("Bearer ")


def test_try_an_upload(page: Page, upstream: Upstream, tokens: Tokens) -> None:
    """A reader uploads a file from the page, by the form as it stands there."""

    def upload(requests: Iterator[Any], _context: Any) -> dataset_pb2.Dataset:
        body = b"".join(request.body.data for request in requests)
        return dataset_pb2.Dataset(description=body.decode())

    upstream.on(UPLOAD, upload)
    block = _open(page, "Dataset-UploadDataset")
    _authorize(page, tokens.user())
    file: Any = {"name": "people.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"}
    block.locator("input[type=file]").set_input_files(file)
    block.locator(".execute").click()
    answer = block.locator(".live-responses-table")
    answer.wait_for()
    assert 'name=\\"file\\"; filename=\\"people.csv\\"' in answer.inner_text()
    assert "a,b" in answer.inner_text()
