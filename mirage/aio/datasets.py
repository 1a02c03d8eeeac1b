"""Datasets: `client.datasets`."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from anyio import to_thread
from google.api.httpbody_pb2 import HttpBody

from mirage import tables
from mirage.aio.paging import collect
from mirage.aio.watching import follow
from mirage.connection import Connection
from mirage.dataset.v1 import dataset_pb2 as pb
from mirage.errors import DatasetFailed, MirageError, NotFound, NotPossible
from mirage.progress import dataset_progress, upload_progress
from mirage.records.dataset import DatasetEvent, DatasetFields, DatasetVersion, Stats, row_of
from mirage.states import dataset_state_value
from mirage.uploading import Upload, prepared

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

LARGEST_ROW_PAGE = 1000


class AsyncDataset(DatasetFields):
    """A table that somebody uploaded."""

    def __init__(self, message: pb.Dataset, connection: Connection) -> None:
        super().__init__(message)
        self._connection = connection

    async def refresh(self) -> "AsyncDataset":
        """Asks the platform again what it knows of this dataset."""
        self._told = await self._connection.call(
            self._connection.datasets.GetDataset, pb.GetDatasetRequest(dataset_id=self.id)
        )
        return self

    def watch(self, resume_token: str = "", timeout_s: float | None = None) -> AsyncGenerator[DatasetEvent, None]:
        """Yields what happens while the file is read in, from `resume_token` on, until it is ready or has failed.

        A broken connection is taken up again where it broke.

        Raises:
            TimedOut: after `timeout_s`, if given; the platform goes on reading.
        """
        return follow(self._events, self._is_over, resume_token=resume_token, timeout_s=timeout_s)

    async def wait(self, progress: bool | None = None, timeout_s: float | None = None) -> "AsyncDataset":
        """Waits until the table can be used.

        Args:
            progress: whether to show a bar; None for where somebody is likely to see it.
            timeout_s: how long to wait at most; None for as long as it takes.

        Raises:
            DatasetFailed: if the file can't be read.
            TimedOut: if it takes longer than `timeout_s`.
        """
        with dataset_progress(progress, self.name) as bar:
            async for event in self.watch(timeout_s=timeout_s):
                bar.show(event)
        return await self.settle()

    async def settle(self) -> "AsyncDataset":
        """Asks how reading ended.

        Raises:
            DatasetFailed: if the file can't be read.
        """
        await self.refresh()
        if self.state == "failed":
            raise DatasetFailed(self.error or f"{self.name} can't be read.", self)
        return self

    async def stats(self, version: int = 0) -> Stats:
        """Returns what is known of the table without looking at its rows; of the latest version if 0."""
        request = pb.GetDatasetProfileRequest(dataset_id=self.id, version=version)
        return Stats(await self._connection.call(self._connection.datasets.GetDatasetProfile, request))

    async def rows(self, limit: int | None = 100, version: int = 0) -> list[dict[str, Any]]:
        """Returns rows in the order of the file, by column name: times in ISO 8601, missing values as None.

        Args:
            limit: how many; None for all. For a whole table `dataframe` is faster and keeps the types.
            version: of which version; 0 for the latest.
        """
        if not self.proto.columns:  # a list leaves them out
            await self.refresh()
        types = {column.name: column.type for column in self.columns}

        async def page(size: int, token: str) -> tuple[list[dict[str, Any]], str]:
            request = pb.ListRowsRequest(dataset_id=self.id, version=version, page_size=size, page_token=token)
            answer = await self._connection.call(self._connection.datasets.ListRows, request)
            return [row_of(row, answer.columns, types) for row in answer.rows], answer.next_page_token

        return await collect(page, limit, LARGEST_ROW_PAGE)

    async def table(self, version: int = 0) -> "pa.Table":
        """Returns the whole table as Arrow, with its types."""
        return await tables.read_parquet(self._export("parquet", version))

    async def dataframe(self, version: int = 0) -> "pd.DataFrame":
        """Returns the whole table as a DataFrame, with its types."""
        return await to_thread.run_sync(tables.to_pandas, await self.table(version))

    async def export(
        self,
        path: str | Path = ".",
        format: str | None = None,  # noqa: A002 -- the word that the API uses
        version: int = 0,
    ) -> Path:
        """Writes the table to a file, and returns its path.

        Args:
            path: a file, or a directory in which it gets the dataset's name.
            format: `csv`, `jsonl`, `json`, `parquet` or `xlsx`; None for what the path ends in, or `csv`.
            version: which version; 0 for the latest.
        """
        file, chosen = tables.target(path, format, "csv", self.name)
        return await tables.save(self._export(chosen, version), file)

    async def download_url(self, format: str = "parquet", expires_s: int = 3600, version: int = 0) -> str:  # noqa: A002
        """Returns a URL at which anybody can fetch the table (`parquet`) or the uploaded file (`original`)."""
        request = pb.GetDatasetDownloadUrlRequest(dataset_id=self.id, version=version, format=format, expires=expires_s)
        return (await self._connection.call(self._connection.datasets.GetDatasetDownloadUrl, request)).url

    async def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        visibility: str | None = None,
        confirm_personal_data: bool = False,
        types: Mapping[str, str] | None = None,
        roles: Mapping[str, str] | None = None,
        personal_data: Mapping[str, str] | None = None,
        locales: Mapping[str, str] | None = None,
    ) -> "AsyncDataset":
        """Changes what is given; the rest stays.

        Args:
            name: 1 to 200 characters.
            description: at most 2,000 characters.
            visibility: `private` or `public`.
            confirm_personal_data: needed to make a dataset public that holds personal data.
            types: column types set by hand, by column name.
            roles: `feature`, `primary_key` or `target`, by column name.
            personal_data: what columns hold of people, by column name: a kind such as `email`, `none` for nothing
                personal, or an empty text for what was found. It holds for later versions too.
            locales: language and country of columns' personal data, as in `de_DE`, by column name.

        Raises:
            NotPossible: if the dataset is to be public with personal data, and nobody confirms it.
        """
        types, roles = types or {}, roles or {}
        personal_data, locales = personal_data or {}, locales or {}
        request = pb.UpdateDatasetRequest(
            dataset_id=self.id,
            name=name,
            description=description,
            visibility=visibility,
            confirm_personal_data=confirm_personal_data,
            columns=[
                pb.ColumnUpdate(
                    name=column,
                    type=types.get(column),
                    role=roles.get(column),
                    personal_data=personal_data.get(column),
                    personal_data_locale=locales.get(column),
                )
                for column in dict.fromkeys([*types, *roles, *personal_data, *locales])
            ],
        )
        self._told = await self._connection.call(self._connection.datasets.UpdateDataset, request)
        return self

    async def delete(self, cascade: bool = False) -> dict[str, int]:
        """Deletes the dataset with its versions, and returns how many `jobs`, `models` and `studies` went along.

        Raises:
            NotPossible: if jobs, models or studies hang on it, and `cascade` doesn't take them along.
        """
        request = pb.DeleteDatasetRequest(dataset_id=self.id, cascade=cascade)
        answer = await self._connection.call(self._connection.datasets.DeleteDataset, request)
        return {"jobs": answer.deleted_jobs, "models": answer.deleted_models, "studies": answer.deleted_studies}

    async def versions(self, limit: int | None = None) -> list[DatasetVersion]:
        """Returns the dataset's versions, the newest first."""

        async def page(size: int, token: str) -> tuple[list[DatasetVersion], str]:
            request = pb.ListDatasetVersionsRequest(dataset_id=self.id, page_size=size, page_token=token)
            answer = await self._connection.call(self._connection.datasets.ListDatasetVersions, request)
            return [DatasetVersion(version) for version in answer.versions], answer.next_page_token

        return await collect(page, limit)

    async def add_version(self, source: Any) -> DatasetVersion:
        """Uploads a table as this dataset's next version; it is ready when the call returns."""
        async with prepared(source) as upload:

            def requests() -> Iterator[pb.CreateDatasetVersionRequest]:
                request = pb.CreateDatasetVersionRequest(dataset_id=self.id, wait=True, sha256=upload.sha256)
                for chunk in upload.chunks():
                    request.body.CopyFrom(HttpBody(content_type=upload.content_type, data=chunk))
                    yield request
                    request = pb.CreateDatasetVersionRequest()

            message = await self._connection.send(self._connection.dataset_uploads.CreateDatasetVersion, requests)
        await self.refresh()
        return DatasetVersion(message)

    async def _events(self, resume_token: str) -> AsyncGenerator[DatasetEvent, None]:
        request = pb.WatchDatasetRequest(dataset_id=self.id, resume_token=resume_token)
        async with aclosing(self._connection.receive(self._connection.datasets.WatchDataset, request)) as messages:
            async for message in messages:
                yield DatasetEvent(message)

    async def _is_over(self) -> bool:
        return (await self.refresh()).state != "processing"

    async def _export(self, file_format: str, version: int) -> AsyncIterator[bytes]:
        request = pb.ExportDatasetRequest(dataset_id=self.id, version=version, format=file_format)
        async with aclosing(self._connection.receive(self._connection.datasets.ExportDataset, request)) as bodies:
            async for body in bodies:
                yield body.data


class AsyncDatasets:
    """The caller's datasets."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def upload(
        self,
        source: Any,
        *,
        name: str = "",
        description: str = "",
        visibility: str = "private",
        wait: bool = True,
        progress: bool | None = None,
    ) -> AsyncDataset:
        """Uploads a table.

        Args:
            source: a DataFrame, an Arrow table (or anything that speaks Arrow), the path of a file, bytes, or an open
                binary file. A table of Python's travels as Parquet, so that its types survive; a file travels as it is.
            name: 1 to 200 characters; the file's name if empty.
            description: at most 2,000 characters.
            visibility: `private` or `public`.
            wait: whether to return when the table can be used, or as soon as the bytes are safe.
            progress: whether to show a bar; None for where somebody is likely to see it.

        Raises:
            UnusableTable: if it isn't a table; nothing was sent.
            DatasetFailed: if the platform can't read it. Nothing of it is kept, unless nobody waited.
        """
        with upload_progress(progress, name) as bar:
            dataset = await self.send(
                source, name=name, description=description, visibility=visibility, sent=bar.advance
            )
        if not wait:
            return dataset
        try:
            return await dataset.wait(progress)
        except DatasetFailed:
            with suppress(MirageError):  # why the file can't be read says more than why it can't be deleted
                await dataset.delete()
            raise

    async def send(
        self,
        source: Any,
        *,
        name: str = "",
        description: str = "",
        visibility: str = "private",
        sent: Callable[[int, int], None],
    ) -> AsyncDataset:
        """Uploads a table, returns when its bytes are safe, and tells `sent` how many of how many bytes went."""
        async with prepared(source) as upload:
            total = upload.path.stat().st_size
            opening = pb.UploadDatasetRequest(
                name=name or upload.name,
                description=description,
                visibility=visibility,
                wait=False,
                sha256=upload.sha256,
            )
            message = await self._connection.send(
                self._connection.dataset_uploads.UploadDataset, lambda: _requests(opening, upload, total, sent)
            )
        return AsyncDataset(message, self._connection)

    async def list(
        self, *, visibility: str = "", state: str = "", text: str = "", limit: int | None = None
    ) -> list[AsyncDataset]:
        """Returns datasets, the newest first, without their columns.

        Args:
            visibility: `private`: the caller's own private ones; `public`: everybody's public ones; empty: all of the
                caller's own.
            state: only those `processing`, `ready` or `failed`.
            text: only those whose name contains it, without regard to case.
            limit: how many; None for all.
        """
        wanted = dataset_state_value(state)

        async def page(size: int, token: str) -> tuple[list[AsyncDataset], str]:
            request = pb.ListDatasetsRequest(
                page_size=size, page_token=token, visibility=visibility, state=wanted, text=text
            )
            answer = await self._connection.call(self._connection.datasets.ListDatasets, request)
            return [AsyncDataset(each, self._connection) for each in answer.datasets], answer.next_page_token

        return await collect(page, limit)

    async def get(self, dataset: str) -> AsyncDataset:
        """Returns one dataset, by its id, or by its name where the caller has just one of that name.

        Raises:
            NotFound: if there is none.
            NotPossible: if there are several of that name.
        """
        dataset_id = dataset if _is_id(dataset) else await self._id_of(dataset)
        request = pb.GetDatasetRequest(dataset_id=dataset_id)
        return AsyncDataset(
            await self._connection.call(self._connection.datasets.GetDataset, request), self._connection
        )

    async def _id_of(self, name: str) -> str:
        named = [found for found in await self.list(text=name) if found.name == name]
        if not named:
            raise NotFound(
                f"You have no dataset called {name!r}.",
                reason="DATASET_NOT_FOUND",
                hint="`client.datasets.list()` and `mirage datasets list` show what there is.",
            )
        if len(named) > 1:
            raise NotPossible(
                f"You have {len(named)} datasets called {name!r}: {', '.join(found.id for found in named)}.",
                reason="AMBIGUOUS_NAME",
                hint="Give the id of the one you mean.",
            )
        return named[0].id


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _requests(
    opening: pb.UploadDatasetRequest, upload: Upload, total: int, sent: Callable[[int, int], None]
) -> Iterator[pb.UploadDatasetRequest]:
    request = pb.UploadDatasetRequest()
    request.CopyFrom(opening)
    done = 0
    for chunk in upload.chunks():
        request.body.CopyFrom(HttpBody(content_type=upload.content_type, data=chunk))
        yield request
        done += len(chunk)
        sent(done, total)
        request = pb.UploadDatasetRequest()
