"""Rows drawn block by block.

A row's random numbers depend on the seed and its own number only, and rows are computed in blocks of one size, aligned
at multiples of it, each by one thread: so a row is the same byte for byte whatever else is drawn, in how many shards,
by how many threads. Threads take whole blocks; a few are under way at a time, so memory stays bounded.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
import torch

from mirage_engine.progress import Listener, Sampled

_BLOCKS_UNDER_WAY = 4  # for each thread


def draw(
    rows_of_block: Callable[[int], pa.RecordBatch],
    block_rows: int,
    first_row: int,
    rows: int,
    threads: int,
    listener: Listener,
) -> Iterator[pa.RecordBatch]:
    """Rows `first_row` … `first_row + rows - 1`, in order; `rows_of_block` makes the `block_rows` rows of a block."""
    end = first_row + rows
    blocks = iter(range(first_row // block_rows, -(-end // block_rows)))
    done = 0
    pending: deque[tuple[int, Future[pa.RecordBatch]]] = deque()
    with ThreadPoolExecutor(threads, initializer=_compute_alone) as pool:
        try:
            while True:
                while len(pending) < threads * _BLOCKS_UNDER_WAY and (block := next(blocks, None)) is not None:
                    pending.append((block, pool.submit(rows_of_block, block)))
                if not pending:
                    return
                block, future = pending.popleft()
                start = max(first_row - block * block_rows, 0)
                batch = future.result().slice(start, min(end - block * block_rows, block_rows) - start)
                done += batch.num_rows
                yield batch
                listener(Sampled(done, rows))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _compute_alone() -> None:
    """One thread computes a block, since how a sum is split among threads may change its last bits."""
    torch.set_num_threads(1)
