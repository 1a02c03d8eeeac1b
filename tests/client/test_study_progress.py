"""How a search is shown while it runs."""

import io

import pytest
from rich.console import Console
from rich.live import Live

from mirage.optimizer.v1 import study_pb2 as pb
from mirage.records.optimizer import StudyEvent, StudyFields, StudyTrial
from mirage.study_progress import ROWS_SHOWN, Lines, LiveTable, study_progress, trials_table
from servicekit.structs import to_struct

STUDY = StudyFields(pb.Study(study_id="1", name="flights tvae", optimization_metric="quality_score", n_trials=40))


def ended(number: int, score: float, best: int) -> StudyEvent:
    """The end of a trial."""
    return StudyEvent(
        pb.StudyEvent(
            sequence=number,
            kind="trial_ended",
            trials_ended=number,
            n_trials=40,
            best_number=best,
            best_score=0.75,
            trial=pb.StudyTrial(
                number=number,
                state=pb.TRIAL_STATE_SUCCEEDED,
                score=score,
                seconds=61,
                epoch=3,
                epochs=3,
                parameters=to_struct({"epochs": 30 + number, "rate": 0.000123456}),
            ),
        )
    )


def drawn(renderable: object) -> str:
    """What somebody sees."""
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_those_that_were_stopped_early() -> None:
    """How many trials were stopped early stands beside how many have ended."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Live(console=console, auto_refresh=False) as live:
        table = LiveTable(live, STUDY)
        pruned = ended(2, 0.25, best=1)
        pruned.proto.trial.state = pb.TRIAL_STATE_PRUNED
        for one in (ended(1, 0.75, best=1), pruned):
            table.show(one)
        assert "2 of 40 trials, 1 stopped early · best" in drawn(live.renderable)


def test_the_latest_trials_and_the_best() -> None:
    """Of many trials the latest are shown, and the best however long ago it was."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Live(console=console, auto_refresh=False) as live:
        table = LiveTable(live, STUDY)
        for number in range(1, ROWS_SHOWN + 5):
            table.show(ended(number, 0.75 if number == 2 else 0.5, best=min(number, 2)))
        seen = drawn(live.renderable)
    assert f"{ROWS_SHOWN + 4} of 40 trials · best quality_score 0.7500" in seen
    rows = [line.split()[:2] for line in seen.splitlines()[2:]]
    assert rows[0] == ["★", "2"]
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(5, ROWS_SHOWN + 5)]


def test_a_table_of_trials() -> None:
    """Each parameter has a column; numbers are short, times are as people say them."""
    trial = ended(1, 0.5, best=1).trial
    assert trial is not None
    heading, row = drawn(trials_table([trial, StudyTrial(pb.StudyTrial(number=2))], best=1)).splitlines()[:2]
    assert heading.split() == ["trial", "epochs", "rate", "state", "epoch", "time", "score"]
    assert row.split() == ["★", "1", "31", "0.000123", "succeeded", "3/3", "1", "min", "01", "s", "0.5000"]


def test_objectives_and_broken_caps() -> None:
    """Of several objectives each has a column, and caps that a trial breaks are named."""
    trials = [
        pb.StudyTrial(number=1, score=1, objectives={"privacy": 1.0, "ml_efficacy": 0.25}),
        pb.StudyTrial(number=2, objectives={"privacy": 0.5}, broken_caps=["privacy.membership_auc"]),
    ]
    heading, first, second = drawn(trials_table([StudyTrial(each) for each in trials], best=1)).splitlines()[:3]
    assert heading.split()[-3:] == ["ml_efficacy", "privacy", "breaks"]
    assert first.split()[-2:] == ["0.2500", "1.0000"]
    assert second.split()[-2:] == ["0.5000", "privacy.membership_auc"]


def test_lines_for_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody looks on a trial that ends is a line; asked not to, nothing is said."""
    console = Console(file=io.StringIO(), width=200)
    Lines(console, STUDY).show(ended(3, 0.5, best=2))
    assert isinstance(console.file, io.StringIO)
    Lines(console, STUDY).show(ended(4, 0.75, best=4))
    assert console.file.getvalue().splitlines() == [
        "flights tvae: trial 3 of 40 succeeded: 0.5000 (best so far 0.7500)",
        "flights tvae: trial 4 of 40 succeeded: 0.7500 (the best so far)",
    ]
    for wanted in (False, None):
        with study_progress(wanted, STUDY) as shown:
            shown.show(ended(1, 0.5, best=1))
    assert capsys.readouterr().err == ""
