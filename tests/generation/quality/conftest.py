"""What tests of the quality share."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices aren't shared out over threads, which would wait for those of tests beside."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
