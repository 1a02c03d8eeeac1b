"""What progress looks like."""

import io
from contextlib import redirect_stderr

import pytest
from rich.console import Console

from mirage import progress
from mirage.generation.v1 import job_pb2 as pb
from mirage.records.generation import JobEvent


def event(number: int, **fields: object) -> JobEvent:
    """Returns an event of a job in training."""
    values: dict[str, object] = {
        "sequence": number,
        "state": pb.JOB_STATE_TRAINING,
        "stage": "training",
        "epoch": number,
        "epochs": 10,
        "progress": number / 10,
        "losses": {"generator": 0.5, "discriminator": -0.25},
        "seconds_left": 72.0,
    }
    return JobEvent(pb.JobEvent(**(values | fields)))  # type: ignore[arg-type]


def test_silent_where_nobody_looks() -> None:
    """In a log nothing is drawn unless it is asked for."""
    with redirect_stderr(io.StringIO()) as written, progress.job_progress(None, "flights") as bar:
        bar.show(event(1))
    assert not written.getvalue()


def test_lines_in_a_log() -> None:
    """Asked for, a log gets a line a stage and what the job has to tell, not one for each event."""
    with redirect_stderr(io.StringIO()) as written, progress.job_progress(True, "flights") as bar:
        for number in range(1, 6):
            bar.show(event(number))
        bar.show(event(6, message="[batch_size] was adjusted"))
        bar.show(event(7, state=pb.JOB_STATE_SAMPLING, stage="sampling", rows_sampled=1500, seconds_left=None))
    assert written.getvalue().splitlines() == [
        "flights:  10% training · epoch 1/10, discriminator -0.25, generator 0.5 · 1 min 12 s left",
        "flights: [batch_size] was adjusted",
        "flights:  70% sampling · 1,500 rows",
    ]


def test_quality_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest quality of a sample stays beside the epochs that follow it, until training is over."""
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with redirect_stderr(io.StringIO()) as written, progress.job_progress(True, "flights") as bar:
        bar.show(event(1, scores={"quality_score": 0.8125, "privacy": 1.0}))
        bar.show(event(2))
    assert [line.endswith("quality 0.812 · 1 min 12 s left") for line in written.getvalue().splitlines()] == [True] * 2


def test_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal there is a bar with stage, epoch, losses and the time left."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with redirect_stderr(io.StringIO()) as written, progress.job_progress(None, "[flights]") as bar:
        bar.show(event(5))
    text = written.getvalue()
    for part in ("[flights]", "━", "50%", "training", "epoch 5/10", "generator 0.5", "1 min 12 s left"):
        assert part in text
    assert Console(stderr=True).is_terminal


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min 00 s"), (61, "1 min 01 s"), (7322, "2 h 02 min")]
)
def test_durations(seconds: float, text: str) -> None:
    """Seconds are told as people say them."""
    assert progress.duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3072.0 GiB")])
def test_sizes(count: int, text: str) -> None:
    """Bytes are told as people say them."""
    assert progress.size(count) == text
