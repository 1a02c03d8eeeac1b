from contextlib import aclosing

import psutil
import pytest

from services.generation.drawing import DrawingFailed, PageDrawer
from services.generation.quality.page.page import render
from services.generation.quality.report import Pictures
from tests.generation.quality.page.reports import facts, whole_report


async def test_draws_the_page() -> None:
    """What comes in pieces is the page."""
    pieces = [piece async for piece in PageDrawer(1).draw(whole_report(), facts())]
    assert b"".join(pieces).decode() == "".join(render(whole_report(), facts()))


async def test_reader_goes_away() -> None:
    """A reader that goes away ends the program, and the next one gets its page."""
    drawer = PageDrawer(1)
    async with aclosing(drawer.draw(whole_report(), facts())) as pieces:
        await anext(pieces)
        (program,) = [
            child for child in psutil.Process().children() if "services.generation.quality.page" in child.cmdline()
        ]
    assert not program.is_running()
    assert [piece async for piece in drawer.draw(whole_report(), facts())]


async def test_breaks_off() -> None:
    """A page that can't be drawn is an error, not half a page that looks whole."""
    shown = whole_report().pictures.distributions[0].model_copy(update={"edges": (1.0,)})
    report = whole_report().model_copy(update={"pictures": Pictures(distributions=(shown,))})
    with pytest.raises(DrawingFailed):
        async for _ in PageDrawer(1).draw(report, facts()):
            pass
