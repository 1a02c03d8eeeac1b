"""Progress bars, in a terminal and in a notebook.

Asked with None they appear where somebody is likely to see them: in a terminal or a notebook. Asked with True where
there is neither, they are lines of text instead, one for each thing worth telling. They go to the standard error
output.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from mirage.records.dataset import DatasetEvent
    from mirage.records.generation import JobEvent

# How often a line of text tells of a number that only grew.
LINE_EVERY_S = 10.0


class Display(Protocol):
    """What draws: a bar, lines of text, or nothing."""

    def update(self, share: float, stage: str, detail: str, left_s: float | None) -> None:
        """Shows how much is done (0 to 1), what is being done, a few numbers, and the seconds left."""
        ...

    def tell(self, text: str) -> None:
        """Shows a sentence that stays."""
        ...


class Silence:
    """Draws nothing."""

    def update(self, share: float, stage: str, detail: str, left_s: float | None) -> None:
        """Does nothing."""

    def tell(self, text: str) -> None:
        """Does nothing."""


class Bar:
    """A live bar of Rich's."""

    def __init__(self, progress: "Progress", title: str) -> None:
        self._progress = progress
        self._title = title
        self._task = progress.add_task(title, total=1.0, text="", left="")

    def update(self, share: float, stage: str, detail: str, left_s: float | None) -> None:
        """Redraws the bar; in a notebook at once, in a terminal a few times a second."""
        left = "" if left_s is None else f"{duration(left_s)} left"
        text = " · ".join(part for part in (stage, detail) if part)
        self._progress.update(
            self._task, completed=share, text=text, left=left, refresh=self._progress.console.is_jupyter
        )

    def tell(self, text: str) -> None:
        """Prints above the bar."""
        self._progress.console.print(f"{self._title}: {text}", markup=False, highlight=False, soft_wrap=True)


class Lines:
    """Lines of text, for a log."""

    def __init__(self, console: "Console", title: str) -> None:
        self._console = console
        self._title = title
        self._stage = ""
        self._told_at = 0.0

    def update(self, share: float, stage: str, detail: str, left_s: float | None) -> None:
        """Prints a line if another stage began, the end is reached, or the last line is a while ago."""
        if stage == self._stage and monotonic() - self._told_at < LINE_EVERY_S:
            return
        self._stage, self._told_at = stage, monotonic()
        left = "" if left_s is None else f"{duration(left_s)} left"
        self.tell(" · ".join(part for part in (f"{share:4.0%} {stage}", detail, left) if part))

    def tell(self, text: str) -> None:
        """Prints a line."""
        self._console.print(f"{self._title}: {text}", markup=False, highlight=False, soft_wrap=True)


class UploadProgress:
    """Shows how much of a file is on its way."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def advance(self, done: int, total: int) -> None:
        """Shows `done` bytes of `total`."""
        self._display.update(done / total if total else 1.0, "uploading", size(done), None)


class DatasetProgress:
    """Shows how far a file is read."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def show(self, event: "DatasetEvent") -> None:
        """Shows an event."""
        detail = f"{event.rows_read:,} rows" if event.rows_read else ""
        self._display.update(event.progress, event.stage, detail, None)


class JobProgress:
    """Shows how far a job is."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._quality: float | None = None  # of the latest sample of rows that was judged while it trains

    def show(self, event: "JobEvent") -> None:
        """Shows an event; what it has to tell the user stays on the screen."""
        if event.message:
            self._display.tell(event.message)
        self._quality = event.scores.get("quality_score", self._quality)
        numbers = _numbers(event, self._quality)
        self._display.update(event.progress, event.stage or event.state, numbers, event.seconds_left)


def _numbers(event: "JobEvent", quality: float | None) -> str:
    if event.state == "training" and event.epochs:
        losses = [f"{name} {value:.3g}" for name, value in sorted(event.losses.items())]
        judged = [] if quality is None else [f"quality {quality:.3f}"]
        return ", ".join([f"epoch {event.epoch}/{event.epochs}", *losses, *judged])
    return f"{event.rows_sampled:,} rows" if event.rows_sampled else ""


@contextmanager
def upload_progress(wanted: bool | None, name: str) -> Iterator[UploadProgress]:
    """Shows an upload while the block runs."""
    with display(wanted, name or "upload") as shown:
        yield UploadProgress(shown)


@contextmanager
def dataset_progress(wanted: bool | None, name: str) -> Iterator[DatasetProgress]:
    """Shows how a file is read while the block runs."""
    with display(wanted, name) as shown:
        yield DatasetProgress(shown)


@contextmanager
def job_progress(wanted: bool | None, name: str, adjustments: Iterable[str] = ()) -> Iterator[JobProgress]:
    """Shows how a job goes on while the block runs, and first what the platform adjusted of the request."""
    with display(wanted, name) as shown:
        for adjustment in adjustments:
            shown.tell(adjustment)
        yield JobProgress(shown)


@contextmanager
def display(wanted: bool | None, title: str) -> Iterator[Display]:
    """Gives what suits the place where the program runs; what it drew last stays on the screen."""
    if wanted is False:
        yield Silence()
        return
    from rich.console import Console

    console = Console(stderr=True)
    # Rich draws in a notebook by means of ipywidgets; without it there are lines.
    if console.is_terminal or (console.is_jupyter and find_spec("ipywidgets")):
        with _bars(console) as progress:
            yield Bar(progress, title)
    else:
        yield Lines(console, title) if wanted or console.is_jupyter else Silence()


def _bars(console: "Console") -> "Progress":
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}", style="bold", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20, table_column=Column(width=20)),
        TaskProgressColumn(table_column=Column(width=4, no_wrap=True)),
        # What doesn't fit is cut off here and nowhere else.
        TextColumn(
            "{task.fields[text]}",
            style="cyan",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        TimeElapsedColumn(table_column=Column(width=7, no_wrap=True)),
        TextColumn("{task.fields[left]}", markup=False, table_column=Column(no_wrap=True, min_width=13)),
        console=console,
        expand=True,
        # In a notebook the thread that draws is not the one whose cell should show it.
        auto_refresh=not console.is_jupyter,
    )


def duration(seconds: float) -> str:
    """Returns seconds as people say them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """Returns bytes as people say them, in powers of 1,024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("the last unit takes everything")
