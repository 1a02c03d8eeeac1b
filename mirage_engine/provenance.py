"""Where a model comes from: the table it was fitted to, and what computed it."""

import hashlib
import platform
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import torch

_LIBRARIES = ("numpy", "pyarrow", "safetensors", "torch")


def versions() -> dict[str, str]:
    """The versions of the libraries that models and rows depend on, by name."""
    return {name: version(name) for name in _LIBRARIES}


def processor() -> str:
    """What results depend on besides the libraries: the architecture and the widest instructions in use."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def hash_of(table: pa.Table) -> str:
    """SHA-256 of a table's Arrow stream, in one batch."""
    digest = hashlib.sha256()
    sink = pa.PythonFile(_Hashing(digest), mode="w")
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return digest.hexdigest()


class _Hashing:
    """A file that keeps nothing but a digest."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
