"""How far the work is: what is told of many reports, and what is said of the whole."""

from services.generation.engines.protocol import Progress, Stage
from services.generation.training.pace import Pace


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_few_words_but_the_last() -> None:
    """Of a thousand quick epochs few are told, among them the first and the last."""
    told: list[Progress] = []
    clock = Clock()
    pace = Pace(100, told.append, lambda: False, clock)
    for epoch in range(1001):
        pace(Progress(Stage.TRAINING, epoch=epoch, epochs=1000))
        clock.now += 0.01
    assert told[0].epoch == 0
    assert told[-1].epoch == 1000
    assert len(told) < 50


def test_scores_are_always_told() -> None:
    """An epoch with scores is told, however soon it comes after another."""
    told: list[Progress] = []
    pace = Pace(100, told.append, lambda: False, Clock())
    for epoch in range(1, 8):
        pace(Progress(Stage.TRAINING, epoch=epoch, epochs=10, scores={"privacy": 0.5} if epoch % 3 == 0 else {}))
    assert [progress.epoch for progress in told] == [1, 3, 6]


def test_seconds_left_and_fraction() -> None:
    """Half of the epochs take as long as the other half; the whole never runs backwards."""
    told: list[Progress] = []
    clock = Clock()
    pace = Pace(0, told.append, lambda: False, clock)
    pace(Progress(Stage.PREPARING))
    clock.now += 10
    pace(Progress(Stage.TRAINING, epochs=4))
    clock.now += 8
    pace(Progress(Stage.TRAINING, epoch=2, epochs=4))
    clock.now += 8
    pace(Progress(Stage.SAMPLING, rows=10))
    clock.now += 1
    pace(Progress(Stage.SAMPLING, rows_sampled=10, rows=10))
    assert [progress.seconds_left for progress in told] == [None, None, 8.0, None, 0.0]
    assert [round(progress.fraction, 3) for progress in told] == [0.0, 0.1, 0.45, 0.8, 0.9]
    assert pace.seconds() == {"preparing": 10.0, "training": 16.0, "sampling": 1.0}
