"""Runs trainings and samplings in child processes, for an asyncio program that holds no torch."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pyarrow as pa

from services.generation.engines.protocol import Failure, Progress
from services.generation.training.spec import SamplingSpec, TrainingSpec, TrainingSummary

OnProgress = Callable[[Progress], Awaitable[None]]


class TrainingFailed(Failure):
    """A child process didn't do its work.

    `reason` is `TRAINING_OUT_OF_MEMORY`, `JOB_TIMED_OUT`, `TRAINING_CRASHED` (it died by itself), `TRAINING_FAILED`
    (an error nobody foresaw; its trace is in the log), or one that the work itself gave: `TABLE_NOT_LEARNABLE`,
    `INVALID_CONDITIONS`, `CONDITION_TOO_RARE`, `TRAINING_DIVERGED`, `MODEL_UNREADABLE`.
    """


class TrainingRunner:
    """Starts child processes, follows them and ends them."""

    def __init__(self, *, threads: int = 1) -> None:
        """`threads` is how many a child computes with; another number gives other rows for the same seed."""
        self._threads = threads

    async def start(self) -> None:
        """Warms up, so that the first training needn't wait for imports. Without it the first training does this."""

    async def close(self) -> None:
        """Ends every child."""

    async def train(self, spec: TrainingSpec, on_progress: OnProgress) -> TrainingSummary:
        """Trains in a child process and returns what was made.

        Cancelling the task that awaits this ends the child and all it started within two seconds. Raises
        TrainingFailed.
        """
        raise NotImplementedError

    def sample(self, spec: SamplingSpec) -> AsyncIterator[pa.RecordBatch]:
        """Draws rows in a child process and yields them as they are made, with the source's schema.

        Closing the iterator (or cancelling its task) ends the child. Raises TrainingFailed, before the first batch for
        what is wrong with the request.
        """
        raise NotImplementedError
