import asyncio
import sys
from html.parser import HTMLParser

import pytest

from services.generation.quality.page.__main__ import Drawing
from services.generation.quality.page.page import render
from services.generation.quality.page.words import number
from services.generation.quality.report import Finding, QualityReport
from services.generation.quality.titles import metric_title
from tests.generation.quality.page.reports import COLUMNS, HOSTILE, empty_report, facts, whole_report

_VOID = {"meta", "br", "link", "img", "hr"}


class _Page(HTMLParser):
    """The page's tags, whether they close, what points elsewhere, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in {"src", "href", "xlink:href", "action", "data"}:
                self.addresses.append(value or "")
            elif name == "id":
                self.ids.append(value or "")
            assert not name.startswith("on"), "a script in an attribute"

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> _Page:
    return _Page("".join(render(whole_report(), facts())))


def test_stands_alone(page: _Page) -> None:
    """The page holds no script, and points at nothing but its own places."""
    assert "script" not in page.tags
    assert page.open == []
    assert all(address.startswith("#") for address in page.addresses)
    assert {address.removeprefix("#") for address in page.addresses} <= set(page.ids)


def test_names_stay_text(page: _Page) -> None:
    """Whatever columns, values and datasets are called, the page shows it as text, and its pictures' places differ."""
    assert page.text.count(HOSTILE) > 5
    assert len(page.ids) == len(set(page.ids))


def test_shows_everything(page: _Page) -> None:
    """Every column is drawn; figures stand with interval and ceiling; what couldn't be measured says why."""
    assert page.tags.count("svg") == len(COLUMNS) + 2
    for shown in ("0.943", "0.933 to 0.953", "0.970", "There is nothing to predict.", "A note on", "ctgan", "ef" * 32):
        assert shown in page.text
    for column in COLUMNS:
        assert column in page.text
    assert "alike 0.900, real rows 0.970" in page.text
    assert "taken off before it counts" in page.text


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0.000"), (0.97, "0.970"), (12_345.6, "12,346"), (-1_500, "-1,500"), (2.5e12, "2.5e+12"), (1e-5, "1e-05")],
)
def test_numbers(value: float, told: str) -> None:
    """Numbers are written as people write them, and by powers of ten where nobody could count their digits."""
    assert number(value) == told


def test_titles() -> None:
    """Metrics are called as people call them."""
    titles = {
        "ks_complement": "KS complement",
        "distance_p5": "Distance (5th percentile)",
        "membership_auc": "Membership AUC",
        "r2": "R²",
        "three_way_marginals": "Three-way marginals",
        "nearest_neighbour_ratio": "Nearest-neighbour ratio",
    }
    assert {name: metric_title(name) for name in titles} == titles


def test_colours_are_the_pages(page: _Page) -> None:
    """No picture has a colour of its own, so that dark mode and print reach all of them."""
    html = "".join(render(whole_report(), facts()))
    body = html[html.index("<body>") :]
    assert "var(--synthetic)" in body
    assert "#0101" not in body
    assert "#000000" not in body


def test_nothing_measured() -> None:
    """A report without any figure is a page too."""
    text = _Page("".join(render(empty_report(), facts()))).text
    assert "No part of the quality could be measured." in text
    assert text.count("There are two rows.") == 2 * 4  # in the overview, and at each part


def test_a_verdict_that_nobody_knows() -> None:
    """A score that was measured isn't called unmeasured where nothing says how good it is."""
    finding = Finding(verdict="unknown", part="quality_score", text="The score is 0.53 of 1.")
    text = _Page("".join(render(empty_report().model_copy(update={"findings": (finding,)}), facts()))).text
    assert "Unknown." in text
    assert "Not measured." not in text


@pytest.mark.parametrize("report", [whole_report(), empty_report()], ids=["whole", "empty"])
async def test_program(report: QualityReport) -> None:
    """The program draws what the function draws."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.generation.quality.page",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    drawing = Drawing(report=report, facts=facts()).model_dump_json().encode()
    output, _ = await program.communicate(drawing)
    assert program.returncode == 0
    assert output.decode() == "".join(render(report, facts()))
