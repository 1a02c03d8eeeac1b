"""How much memory there is and how much a process takes."""

import os

from services.generation.training.memory import default_memory_limit_mb, resident_mb


def test_default_limit_is_shared() -> None:
    """Several slots share what one would have."""
    assert 0 < default_memory_limit_mb(4) <= default_memory_limit_mb(1) / 3


def test_resident_memory() -> None:
    """This process takes some memory; one that is gone takes none."""
    assert resident_mb(os.getpid()) > 10
    assert resident_mb(2**22 + 1) == 0
