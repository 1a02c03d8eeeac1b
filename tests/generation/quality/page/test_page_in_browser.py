"""The report's page in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from services.generation.quality.page.page import render
from tests.generation.quality.page.reports import facts, whole_report
from tests.support.browser import browser

__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.slow

_VIEWS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1100, "height": 900}},
    "dark": {"viewport": {"width": 1100, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 700}, "is_mobile": True},
}


@pytest.fixture(params=_VIEWS)
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The page in a view of its own, which fails the test where it asks for anything else or complains."""
    file = tmp_path / "report.html"
    file.write_text("".join(render(whole_report(), facts())))
    context = browser.new_context(**_VIEWS[request.param])
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert asked == [file.as_uri()]
    assert complaints == []


def test_fits(page: Page) -> None:
    """Nothing sticks out to the side, every picture is visible and no wider than its place."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    pictures = page.locator("figure:not(.wide) svg")
    assert pictures.count() == len(whole_report().pictures.distributions)
    for index in range(pictures.count()):
        box, place = pictures.nth(index).bounding_box(), page.locator("figure:not(.wide)").nth(index).bounding_box()
        assert box is not None
        assert place is not None
        assert 100 < box["width"] <= place["width"]


def test_can_be_read(page: Page) -> None:
    """Text and the lines of pictures stand out from the paper they are on, on the screen and printed."""
    contrast = """
    () => {
      const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(Number)
          .map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const paper = light(getComputedStyle(document.body).backgroundColor);
      const found = [...document.querySelectorAll('p, td, li, dd, a, h1')].map((e) => getComputedStyle(e).color)
        .concat([...document.querySelectorAll('svg text')].map((e) => getComputedStyle(e).fill));
      const ratios = found.map(light).map((l) => (Math.max(l, paper) + 0.05) / (Math.min(l, paper) + 0.05));
      return Math.min(...ratios);
    }
    """
    assert page.evaluate(contrast) >= 4.5  # WCAG 2.1, 1.4.3
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(contrast) >= 4.5


def test_details_open(page: Page) -> None:
    """A metric's figures by column are there when asked for."""
    cell = page.get_by_role("cell", name="joined", exact=True).first
    assert not cell.is_visible()
    page.locator("summary").first.click()
    assert cell.is_visible()
