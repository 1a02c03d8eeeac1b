"""What stands for a model where a table has nothing to learn: rows without columns."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from services.generation.engines.protocol import Cancelled, Progress, Report, Stage

BATCH_ROWS = 10_000


class NothingLearned:
    """A fitted model of a table all of whose columns are made without one."""

    def sample(
        self,
        rows: int,
        seed: int,  # noqa: ARG002 nothing is left to chance
        conditions: Mapping[str, float | int],  # noqa: ARG002 there is nothing to fix
        report: Report,
    ) -> Iterator[pa.Table]:
        """So many rows, in batches; a column that nothing is read from says how many."""
        for done in range(0, rows, BATCH_ROWS):
            if report.cancelled():
                raise Cancelled
            batch = min(BATCH_ROWS, rows - done)
            yield pa.table({"row": pa.array(range(done, done + batch), pa.int64())})
            report(Progress(Stage.SAMPLING, rows_sampled=done + batch, rows=rows))

    def save(self, _directory: Path) -> None:
        """There is nothing to keep."""
