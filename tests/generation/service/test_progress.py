"""How often progress is told."""

from services.generation.engines.protocol import Progress, Stage
from services.generation.progress import Throttle


def training(epoch: int, epochs: int) -> Progress:
    """An epoch's progress."""
    return Progress(Stage.TRAINING, epoch=epoch, epochs=epochs, fraction=epoch / epochs)


def test_many_quick_epochs() -> None:
    """Of ten thousand epochs in a second only a few are told; the last one is told before the next stage."""
    throttle = Throttle()
    told = [one for epoch in range(1, 10_001) for one in throttle.admit(training(epoch, 10_000), epoch / 10_000)]
    assert 2 <= len(told) <= 4
    sampling = Progress(Stage.SAMPLING, fraction=1.0)
    assert [one.epoch for one in throttle.admit(sampling, 1.0)] == [10_000, 0]


def test_few_slow_epochs() -> None:
    """Epochs that take a second each are all told."""
    throttle = Throttle()
    told = [one for epoch in range(1, 21) for one in throttle.admit(training(epoch, 20), float(epoch))]
    assert [one.epoch for one in told] == list(range(1, 21))


def test_a_very_long_training() -> None:
    """A hundred thousand epochs in a day are told often enough to see it move, and not more than that."""
    throttle = Throttle()
    told = [one for epoch in range(1, 100_001) for one in throttle.admit(training(epoch, 100_000), epoch * 0.864)]
    assert 200 <= len(told) <= 86_400 / Throttle.LONGEST_S + 200


def test_scores_are_always_told() -> None:
    """Scores of a quick epoch are told at once, on which a search decides; so are those of a crowd."""
    throttle = Throttle()
    throttle.admit(training(1, 1000), 0.0)
    scored = Progress(Stage.TRAINING, epoch=2, epochs=1000, fraction=0.002, scores={"quality_score": 0.5})
    assert list(throttle.admit(scored, 0.001)) == [scored]
    assert throttle.rest() == []


def test_the_last_word() -> None:
    """What was held back when the work ends is told then, once."""
    throttle = Throttle()
    throttle.admit(training(1, 10), 0.0)
    throttle.admit(training(2, 10), 0.1)
    assert [one.epoch for one in throttle.rest()] == [2]
    assert throttle.rest() == []
