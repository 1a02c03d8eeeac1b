"""Mirage: synthetic tables that have the statistics of real ones and none of their people.

    from mirage import Client

    client = Client("http://localhost:8080").login("ada@example.org", password)
    synthetic = client.generate(frame, model="ctgan", rows=5000).dataframe()

Importing the package costs nothing: what stands here is loaded when it is first used, so that services can take the
generated stubs (`mirage.<service>.v1`) from an installation without the client's packages.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirage.aio.client import AsyncClient
    from mirage.aio.datasets import AsyncDataset
    from mirage.aio.jobs import AsyncJob
    from mirage.aio.models import AsyncModel
    from mirage.aio.studies import AsyncStudy
    from mirage.comparison import ColumnComparison, compare
    from mirage.credentials import FileCredentialStore, MemoryCredentialStore
    from mirage.errors import MirageError
    from mirage.plain.client import Client
    from mirage.plain.datasets import Dataset
    from mirage.plain.jobs import Job
    from mirage.plain.models import Model
    from mirage.plain.studies import Study

__all__ = [
    "AsyncClient",
    "AsyncDataset",
    "AsyncJob",
    "AsyncModel",
    "AsyncStudy",
    "Client",
    "ColumnComparison",
    "Dataset",
    "FileCredentialStore",
    "Job",
    "MemoryCredentialStore",
    "MirageError",
    "Model",
    "Study",
    "compare",
]

_HOMES = {
    "AsyncClient": "mirage.aio.client",
    "AsyncDataset": "mirage.aio.datasets",
    "AsyncJob": "mirage.aio.jobs",
    "AsyncModel": "mirage.aio.models",
    "AsyncStudy": "mirage.aio.studies",
    "Client": "mirage.plain.client",
    "ColumnComparison": "mirage.comparison",
    "Dataset": "mirage.plain.datasets",
    "FileCredentialStore": "mirage.credentials",
    "Job": "mirage.plain.jobs",
    "MemoryCredentialStore": "mirage.credentials",
    "MirageError": "mirage.errors",
    "Model": "mirage.plain.models",
    "Study": "mirage.plain.studies",
    "compare": "mirage.comparison",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, version

    if name == "__version__":
        try:
            return version("mirage-platform")
        except PackageNotFoundError:  # a checkout that isn't installed
            return "0+unknown"
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"mirage.{name} needs {missing.name}. Install it: pip install 'mirage-platform[client]'", name=missing.name
        ) from missing


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
