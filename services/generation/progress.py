"""How often progress is worth telling."""

from collections.abc import Sequence

from services.generation.engines.protocol import Progress, Stage


class Throttle:
    """Lets through what is new enough: every change of stage, else something every half second at the most.

    Of a long job not more than a few hundred words are kept: between two, a two-hundredth of the work is done or ten
    seconds have passed. The last word of a stage is never lost, nor are scores.
    """

    SHORTEST_S = 0.5
    LONGEST_S = 10.0
    SMALLEST_STEP = 0.005

    def __init__(self) -> None:
        self._stage = Stage.PREPARING  # where the claim has put the job
        self._told_at = float("-inf")
        self._told_fraction = 0.0
        self._held_back: Progress | None = None

    def admit(self, progress: Progress, now: float) -> Sequence[Progress]:
        """What to tell at this time (seconds of a monotonic clock): nothing, this, or what was held back and this."""
        new_stage = progress.stage is not self._stage
        if not new_stage and not progress.scores and not self._is_worth_telling(progress, now):
            self._held_back = progress
            return ()
        told = [*(self.rest() if new_stage else ()), progress]
        self._stage, self._told_at, self._told_fraction = progress.stage, now, progress.fraction
        self._held_back = None
        return told

    def rest(self) -> Sequence[Progress]:
        """What was held back, at the end of the work."""
        held_back, self._held_back = self._held_back, None
        return [held_back] if held_back and held_back.fraction > self._told_fraction else []

    def _is_worth_telling(self, progress: Progress, now: float) -> bool:
        passed = now - self._told_at
        moved = progress.fraction - self._told_fraction
        return passed >= self.LONGEST_S or (passed >= self.SHORTEST_S and moved >= self.SMALLEST_STEP)
