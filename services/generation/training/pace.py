"""How far the whole work is and how long it will still take, told often enough and not more."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from services.generation.engines.protocol import Draw, Progress, Stage

# Events closer together than this (in seconds) tell a reader nothing, save the first and last of a stage, and scores.
LEAST_INTERVAL_S = 0.25
# Where each stage begins and ends, as shares of the whole.
SHARES = {
    Stage.PREPARING: (0.0, 0.1),
    Stage.TRAINING: (0.1, 0.8),
    Stage.SAMPLING: (0.8, 0.9),
    Stage.EVALUATING: (0.9, 1.0),
}
# Until rows are drawn, drawing is taken to go at this pace; the slowest of the models does.
ROWS_PER_SECOND = 20_000


class Pace:
    """Takes what an engine reports, fills in what concerns the whole work, and passes on what is worth telling."""

    def __init__(
        self,
        rows: int,
        tell: Callable[[Progress], None],
        called_off: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rows` will be drawn in all."""
        self._rows = rows
        self._tell = tell
        self._called_off = called_off
        self._clock = clock
        self._begun: dict[Stage, float] = {}
        self._told_at = float("-inf")

    def __call__(self, progress: Progress) -> None:
        """Takes note of the progress."""
        now = self._clock()
        begins = progress.stage not in self._begun
        self._begun.setdefault(progress.stage, now)
        done, whole = _done(progress)
        ends = 0 < whole == done
        if begins or ends or progress.scores or now - self._told_at >= LEAST_INTERVAL_S:
            self._told_at = now
            low, high = SHARES[progress.stage]
            fraction = low + (high - low) * (done / whole if whole else 0.0)
            self._tell(replace(progress, fraction=fraction, seconds_left=self._seconds_left(progress, now)))

    def cancelled(self) -> bool:
        """Whether the work was called off."""
        return self._called_off()

    def scores(self, epoch: int, draw: Draw) -> Mapping[str, float]:
        """None: what rows are compared with isn't known here."""
        del epoch, draw
        return {}

    def seconds(self) -> dict[str, float]:
        """Seconds by stage, the last of them until now."""
        begun = sorted(self._begun.items(), key=lambda item: item[1])
        ends = [begin for _, begin in begun[1:]] + [self._clock()]
        return {stage.value: round(end - begin, 3) for (stage, begin), end in zip(begun, ends, strict=True)}

    def _seconds_left(self, progress: Progress, now: float) -> float | None:
        done, whole = _done(progress)
        if not done:
            return None
        left = (now - self._begun[progress.stage]) / done * (whole - done)
        return left + (self._rows / ROWS_PER_SECOND if progress.stage is Stage.TRAINING else 0.0)


def _done(progress: Progress) -> tuple[int, int]:
    """What of the stage is done, and of how much."""
    if progress.stage is Stage.SAMPLING:
        return progress.rows_sampled, progress.rows
    return progress.epoch, progress.epochs
