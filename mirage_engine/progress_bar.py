"""Progress as bars on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mirage_engine.progress import Epoch, Event, Listener, Prepared, Sampled, Step


@contextmanager
def fitting_bar(console: Console) -> Iterator[Listener]:
    """Shows epochs, the losses in nats a row, and the speed."""
    columns = (
        TextColumn("{task.fields[part]}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("fit", total=None, part="", told="")

        def listen(event: Event) -> None:
            if isinstance(event, Prepared):
                progress.update(task, total=event.of, completed=event.done, part=event.what)
            elif isinstance(event, Step):
                progress.update(task, total=event.steps, completed=event.step, part=f"epoch {event.epoch}")
            elif isinstance(event, Epoch):
                told = f"loss {event.loss:.3f}"
                if event.held_out_loss is not None:
                    told += f", held out {event.held_out_loss:.3f}{' (best)' if event.best else ''}"
                told += f", {event.rows_per_second:,.0f} rows/s, {event.seconds_left:,.0f} s left at the most"
                progress.update(task, told=told)

        yield listen


@contextmanager
def sampling_bar(console: Console, rows: int) -> Iterator[Listener]:
    """Shows rows that are drawn, and the time left."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("sample", total=rows)

        def listen(event: Event) -> None:
            if isinstance(event, Sampled):
                progress.update(task, completed=event.rows)

        yield listen
