"""What the command line prints: results to standard output, everything else to standard error."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from mirage.errors import MirageError
from mirage.progress import duration

# Wide enough for any table: what goes into a file or a pipe isn't cut to the width of a screen.
UNLIMITED_WIDTH = 1000

STATE_STYLES = {
    "succeeded": "green",
    "ready": "green",
    "active": "green",
    "up": "green",
    "degraded": "yellow",
    "down": "red",
    "failed": "red",
    "rejected": "red",
    "inactive": "red",
    "cancelled": "yellow",
    "awaiting_approval": "yellow",
}


class Output:
    """Prints for a person, or JSON for a program."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        width = None if sys.stdout.isatty() else UNLIMITED_WIDTH
        # Names and messages are what users write: brackets in them are no markup.
        self._results = Console(markup=False, emoji=False, highlight=False, width=width)
        self._messages = messages()

    def result(self, value: Any, render: Callable[[], RenderableType]) -> None:
        """Prints a value: as JSON, or as `render` draws it."""
        if self.as_json:
            print(json.dumps(value, indent=2, ensure_ascii=False))
        else:
            with self._results.capture() as drawn:
                self._results.print(render())
            # A table's cells are filled up with blanks, which a file or a pipe has no use for.
            print("\n".join(line.rstrip() for line in drawn.get().splitlines()))

    def event(self, value: Any) -> None:
        """Prints one of many values as a line of JSON, at once."""
        print(json.dumps(value, ensure_ascii=False), flush=True)

    def note(self, text: str) -> None:
        """Prints something for the person who looks on."""
        self._messages.print(Text(text), soft_wrap=True)


def messages() -> Console:
    """Returns where messages go."""
    return Console(stderr=True, highlight=False)


def report(error: MirageError, as_json: bool) -> None:
    """Prints an error and what to do about it."""
    if as_json:
        fault = {
            "code": error.reason,
            "message": error.message,
            "violations": [vars(violation) for violation in error.violations],
            "hint": error.hint,
            "request_id": error.request_id,
            "trace_id": error.trace_id,
        }
        print(json.dumps({"error": fault}, ensure_ascii=False), file=sys.stderr)
        return
    console = messages()
    console.print(Text.assemble(("Error: ", "bold red"), visible(error.message)), soft_wrap=True)
    for violation in error.violations:
        console.print(
            Text.assemble("  ", (violation.field, "bold"), f": {visible(violation.description)}"), soft_wrap=True
        )
    if error.hint:
        console.print(Text(error.hint), soft_wrap=True)
    if error.request_id and error.code in ("INTERNAL", "UNKNOWN"):
        console.print(Text(f"The platform's logs tell more under request {error.request_id}."), soft_wrap=True)


def visible(value: Any) -> str:
    """Returns a value as text that can't do anything to a terminal; nothing for None."""
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "Nothing.") -> RenderableType:
    """Returns a table; headings that begin with `#` are of numbers, and stand without the sign, to the right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        right = heading.startswith("#")
        drawn.add_column(
            heading.removeprefix("#"), justify="right" if right else "left", overflow="fold", no_wrap=heading == "id"
        )
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(visible(cell)) for cell in row))
    return drawn if drawn.row_count else Text(empty)


def facts(pairs: Iterable[tuple[str, Any]]) -> RenderableType:
    """Returns names and values under each other; what is None or empty is left out."""
    drawn = Table(box=None, pad_edge=False, show_header=False)
    drawn.add_column(style="bold")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value != "":
            drawn.add_row(name, value if isinstance(value, Text) else Text(visible(value)))
    return drawn


def state(word: str) -> Text:
    """Returns a state in its colour."""
    return Text(word.replace("_", " "), style=STATE_STYLES.get(word, "cyan"))


def when(time: datetime | None) -> str:
    """Returns how long ago something was; a date where it was long ago."""
    if time is None:
        return "never"
    ago_s = (datetime.now(UTC) - time).total_seconds()
    if ago_s < 60:
        return "just now"
    return f"{duration(ago_s)} ago" if ago_s < 86_400 else time.astimezone().strftime("%Y-%m-%d %H:%M")


def number(value: float | None, digits: int = 4) -> str:
    """Returns a number with a few significant digits; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:,.{digits}g}"


def percent(share: float) -> str:
    """Returns a share as per cent; nothing for none at all."""
    return f"{share:.1%}" if share else ""
