"""The quality report as somebody sees it: through the gateway, in a real browser."""

from pathlib import Path

import httpx
import pandas as pd
import pytest
from playwright.sync_api import Browser

from mirage import Client
from tests.e2e.conftest import PASSWORD
from tests.support.browser import browser
from tests.support.platform import PlatformForTests

__all__ = ["browser"]  # a fixture

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.slow]


def test_report_in_a_browser(
    platform: PlatformForTests, client: Client, email: str, flights: pd.DataFrame, browser: Browser, tmp_path: Path
) -> None:
    """A job's report opens, with every column drawn and every part told, and the file that is kept is the same page."""
    dataset = client.datasets.upload(flights, name="flights")
    job = client.generate(
        "flights", model="gaussian_copula", rows=300, seed=7, target_column="cancelled", wait=False
    ).wait()
    signed_in = httpx.post(f"{platform.url}/auth/login", json={"email": email, "password": PASSWORD}).json()["data"]
    context = browser.new_context(extra_http_headers={"authorization": f"Bearer {signed_in['access_token']}"})
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    address = f"{platform.url}/generation/report/{job.id}"
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200
    page.get_by_role("heading", name="How it was made").wait_for()

    for part in ("Statistical similarity", "Correlation preservation", "Usefulness for machine learning", "Privacy"):
        assert page.get_by_role("heading", name=part).is_visible()
    assert page.get_by_text(dataset.id).is_visible()
    drawn = page.locator(".grid figure")
    assert drawn.count() == len(flights.columns)
    assert page.locator(".grid figure svg").count() == len(flights.columns)
    assert page.locator(".grid figcaption", has_text="alike").count() == len(flights.columns)
    assert page.evaluate("getComputedStyle(document.querySelector('.grid')).display") == "grid"  # its style is in force
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    kept = job.report(tmp_path / "report.html")
    page.goto(kept.as_uri())
    assert page.locator(".grid figure svg").count() == len(flights.columns)
    context.close()
    assert complaints == []
    assert asked == [address, kept.as_uri()]
