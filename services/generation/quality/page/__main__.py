"""Draws a report's page: reads a report and its facts as JSON, writes HTML as it is drawn.

It is a program of its own so that a service needn't hold the drawing library, nor stand still while it draws.
"""

import sys

from pydantic import BaseModel

from services.generation.quality.page.facts import Facts
from services.generation.quality.page.page import render
from services.generation.quality.report import QualityReport


class Drawing(BaseModel):
    """What to draw."""

    report: QualityReport
    facts: Facts


def main() -> None:
    """Reads from standard input, writes to standard output."""
    drawing = Drawing.model_validate_json(sys.stdin.buffer.read())
    for piece in render(drawing.report, drawing.facts):
        sys.stdout.buffer.write(piece.encode())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
