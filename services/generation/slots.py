"""How much a machine does at once beside its jobs: rows are drawn from kept models, tables are judged."""

from collections.abc import Iterator
from contextlib import contextmanager

from services.generation.errors import SamplersBusy


class Slots:
    """So many pieces of work at once."""

    def __init__(self, count: int) -> None:
        self._free = count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Takes a slot.

        Raises:
            SamplersBusy: every slot is taken.
        """
        if self._free <= 0:
            raise SamplersBusy
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
