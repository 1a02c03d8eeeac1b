"""Datasets: `client.datasets`."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from mirage.aio.datasets import AsyncDataset, AsyncDatasets
from mirage.dataset.v1 import dataset_pb2 as pb
from mirage.errors import DatasetFailed, MirageError
from mirage.plain.calls import Plain, blocking, each, waiting
from mirage.plain.loop import LOOP
from mirage.progress import dataset_progress
from mirage.records.dataset import DatasetEvent, DatasetFields


def _dataset(core: AsyncDataset) -> "Dataset":
    return Dataset(core)


class Dataset(Plain[AsyncDataset], DatasetFields):
    """A table that somebody uploaded."""

    @property
    def proto(self) -> pb.Dataset:
        """The message itself."""
        return self._core.proto

    refresh = blocking(AsyncDataset.refresh, _dataset)
    settle = blocking(AsyncDataset.settle, _dataset)
    stats = blocking(AsyncDataset.stats)
    rows = blocking(AsyncDataset.rows)
    table = blocking(AsyncDataset.table)
    dataframe = blocking(AsyncDataset.dataframe)
    export = blocking(AsyncDataset.export)
    download_url = blocking(AsyncDataset.download_url)
    update = blocking(AsyncDataset.update, _dataset)
    delete = blocking(AsyncDataset.delete)
    versions = blocking(AsyncDataset.versions)
    add_version = blocking(AsyncDataset.add_version)

    def watch(self, resume_token: str = "", timeout_s: float | None = None) -> Iterator[DatasetEvent]:
        """Yields what happens while the file is read in, from `resume_token` on, until it is ready or has failed.

        A broken connection is taken up again where it broke.

        Raises:
            TimedOut: after `timeout_s`, if given; the platform goes on reading.
        """
        return LOOP.iterate(partial(self._core.watch, resume_token, timeout_s))

    def wait(self, progress: bool | None = None, timeout_s: float | None = None) -> "Dataset":
        """Waits until the table can be used.

        Args:
            progress: whether to show a bar; None for where somebody is likely to see it.
            timeout_s: how long to wait at most; None for as long as it takes.

        Raises:
            DatasetFailed: if the file can't be read.
            TimedOut: if it takes longer than `timeout_s`.
        """
        with dataset_progress(progress, self.name) as bar:
            for event in self.watch(timeout_s=timeout_s):
                bar.show(event)
        return self.settle()


class _Uploaded(Dataset):
    """One that the caller of `upload` waits for: if it can't be read, nothing of it is kept."""

    def wait(self, progress: bool | None = None, timeout_s: float | None = None) -> "Dataset":
        """Waits as any does."""
        try:
            return super().wait(progress, timeout_s)
        except DatasetFailed:
            with suppress(MirageError):  # why the file can't be read says more than why it can't be deleted
                self.delete()
            raise


class Datasets(Plain[AsyncDatasets]):
    """The caller's datasets."""

    upload = waiting(AsyncDatasets.upload, Dataset, _Uploaded)
    list = blocking(AsyncDatasets.list, each(Dataset))
    get = blocking(AsyncDatasets.get, Dataset)
