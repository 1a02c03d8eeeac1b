"""How a search is shown while it runs: a table of its trials that grows, or lines of text for a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from mirage.progress import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from mirage.records.optimizer import StudyEvent, StudyFields, StudyTrial

ROWS_SHOWN = 15
_STYLES = {"succeeded": "green", "failed": "red", "pruned": "yellow", "cancelled": "yellow", "running": "cyan"}


class StudyProgress(Protocol):
    """Shows what happens in a study."""

    def show(self, event: "StudyEvent") -> None:
        """Shows an event."""
        ...


class Silence:
    """Shows nothing."""

    def show(self, event: "StudyEvent") -> None:
        """Nothing."""


class LiveTable:
    """The trials as a table, the latest at the bottom, and the best so far."""

    def __init__(self, live: "Live", study: "StudyFields") -> None:
        self._live = live
        self._study = study
        self._trials: dict[int, StudyTrial] = {}
        self._best = 0

    def show(self, event: "StudyEvent") -> None:
        """Draws the table anew."""
        if event.trial is not None and event.kind != "best":
            self._trials[event.trial.number] = event.trial
        self._best = event.best_number
        if event.message:
            self._live.console.print(event.message, markup=False, highlight=False)
        self._live.update(self._drawn(event))

    def _drawn(self, event: "StudyEvent") -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        shown = list(self._trials.values())[-ROWS_SHOWN:]
        best = self._trials.get(self._best)
        if best is not None and best not in shown:
            shown.insert(0, best)
        score = "" if event.best_score is None else f" · best {self._study.metric} {event.best_score:.4f}"
        pruned = sum(trial.state == "pruned" for trial in self._trials.values())
        early = f", {pruned} stopped early" if pruned else ""
        title = f"{self._study.name}: {event.trials_ended} of {event.n_trials} trials{early}{score}"
        return Group(Text(title, style="bold"), trials_table(shown, self._best))


class Lines:
    """A line for each trial that ends."""

    def __init__(self, console: "Console", study: "StudyFields") -> None:
        self._console = console
        self._study = study

    def show(self, event: "StudyEvent") -> None:
        """Prints what has come of a trial."""
        if event.message:
            self._tell(event.message)
        if event.kind == "trial_ended" and event.trial is not None:
            best = "" if event.best_score is None else f" (best so far {event.best_score:.4f})"
            if event.trial.number == event.best_number:
                best = " (the best so far)"
            score = "" if event.trial.score is None else f"{event.trial.score:.4f}"
            told = f": {event.trial.error or score}" if event.trial.error or score else ""
            self._tell(f"trial {event.trial.number} of {event.n_trials} {event.trial.state}{told}{best}")

    def _tell(self, text: str) -> None:
        self._console.print(f"{self._study.name}: {text}", markup=False, highlight=False, soft_wrap=True)


def trials_table(trials: "list[StudyTrial]", best: int) -> "RenderableType":
    """Returns trials as a table; the best is marked. Several objectives have a column each."""
    from rich.table import Table
    from rich.text import Text

    # What is told by name has no order of its own.
    names = sorted({name for trial in trials for name in trial.parameters})
    objectives = sorted({name for trial in trials for name in trial.objectives})
    if len(objectives) < 2:
        objectives = []
    capped = any(trial.broken_caps for trial in trials)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("state")
    table.add_column("epoch", justify="right")
    table.add_column("time", justify="right")
    for name in objectives or ["score"]:
        table.add_column(name, justify="right")
    if capped:
        table.add_column("breaks")
    for trial in trials:
        table.add_row(
            f"{'★ ' if trial.number == best else ''}{trial.number}",
            *(_value(trial.parameters.get(name)) for name in names),
            Text(trial.state, style=_STYLES.get(trial.state, "")),
            f"{trial.epoch}/{trial.epochs}" if trial.epochs else "",
            "" if trial.seconds is None else duration(trial.seconds),
            *(_score(trial.objectives.get(name)) for name in objectives),
            *([] if objectives else [_score(trial.score)]),
            *([", ".join(trial.broken_caps)] if capped else []),
            style="bold" if trial.number == best else "",
        )
    return table


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


@contextmanager
def study_progress(wanted: bool | None, study: "StudyFields") -> Iterator[StudyProgress]:
    """Gives what suits the place where the program runs; the table as it was at last stays on the screen."""
    if wanted is False:
        yield Silence()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield LiveTable(live, study)
    else:
        yield Lines(console, study) if wanted else Silence()


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
