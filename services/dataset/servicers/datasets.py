"""The RPCs of DatasetService."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any, NamedTuple

from google.api.httpbody_pb2 import HttpBody
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.dataset.v1 import dataset_pb2, dataset_pb2_grpc, profile_pb2
from servicekit.downloads import send_file, url_seconds
from servicekit.follow import decode_resume_token
from servicekit.idempotency import idempotency_key
from servicekit.identity import caller
from servicekit.limits import check
from servicekit.listen import Listener
from servicekit.object_store import ObjectMissing, ObjectStore, content_disposition
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from servicekit.timestamps import to_timestamp, utc_now
from servicekit.validation import validated
from servicekit.workspace import Workspace
from services.dataset import convert, deletion, exports, lists, repository, rows, telling, watching
from services.dataset.dependents import DependentClient
from services.dataset.errors import DatasetNotFound
from services.dataset.inputs import ListFilter
from services.dataset.repository import DatasetFilter, View
from services.dataset.servicers.calls import Context, chunks_of, dataset_id_of, first_of, opening_of
from services.dataset.updates import Updates
from services.dataset.uploading.body import Body
from services.dataset.uploads import Uploads


class Rules(NamedTuple):
    """What the servicer is held to."""

    max_file_bytes: int
    heartbeat_s: float


class DatasetServicer(dataset_pb2_grpc.DatasetServiceServicer):
    """A user's datasets, and everybody's public ones."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        store: ObjectStore,
        listener: Listener,
        workspace: Workspace,
        uploads: Uploads,
        updates: Updates,
        dependents: DependentClient,
        rules: Rules,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._listener = listener
        self._workspace = workspace
        self._uploads = uploads
        self._updates = updates
        self._dependents = dependents
        self._rules = rules

    async def UploadDataset(
        self, request_iterator: AsyncIterator[dataset_pb2.UploadDatasetRequest], context: Context
    ) -> dataset_pb2.Dataset:
        """Takes a file and makes a dataset of it."""
        owner_id, key = caller().user_id, idempotency_key(context)
        view = await self._uploads.create_dataset(owner_id, await self._body(request_iterator, context), key)
        return convert.dataset_to_proto(view)

    async def CreateDatasetVersion(
        self, request_iterator: AsyncIterator[dataset_pb2.CreateDatasetVersionRequest], context: Context
    ) -> dataset_pb2.DatasetVersion:
        """Takes a file and makes a version of it."""
        owner_id, key = caller().user_id, idempotency_key(context)
        requests = aiter(request_iterator)
        first = await first_of(requests)
        body = Body(opening_of(first, context), chunks_of(first, requests), self._rules.max_file_bytes)
        view = await self._uploads.create_version(owner_id, dataset_id_of(first.dataset_id), body, key)
        return convert.version_to_proto(view.version)

    async def ListDatasets(
        self, request: dataset_pb2.ListDatasetsRequest, context: Context
    ) -> dataset_pb2.ListDatasetsResponse:
        """Lists datasets."""
        check(request)
        wanted = validated(ListFilter, convert.filter_fields(request))
        async with self._sessions() as session:
            filters = DatasetFilter(caller().user_id, wanted.visibility, wanted.state, wanted.text)
            page, token = await lists.datasets(session, filters, request.page_size, request.page_token)
        return dataset_pb2.ListDatasetsResponse(
            datasets=[convert.dataset_to_proto(view, with_columns=False) for view in page], next_page_token=token
        )

    async def GetDataset(self, request: dataset_pb2.GetDatasetRequest, context: Context) -> dataset_pb2.Dataset:
        """Returns one dataset."""
        async with self._sessions() as session:
            view = await repository.find_readable(session, caller().user_id, dataset_id_of(request.dataset_id))
        return convert.dataset_to_proto(view)

    async def WatchDataset(
        self, request: dataset_pb2.WatchDatasetRequest, context: Context
    ) -> AsyncIterator[dataset_pb2.DatasetEvent]:
        """Streams a dataset's events from a point on."""
        dataset_id = dataset_id_of(request.dataset_id)
        after = decode_resume_token(request.resume_token, dataset_id)
        batches = watching.follow(
            self._sessions,
            self._listener,
            caller().user_id,
            dataset_id,
            after=after,
            heartbeat_s=self._rules.heartbeat_s,
        )
        async with aclosing(batches):
            async for batch in batches:
                for event in batch:
                    after = event.seq
                    yield convert.event_to_proto(event)
                if not batch:
                    yield convert.heartbeat_to_proto(dataset_id, after)

    async def UpdateDataset(self, request: dataset_pb2.UpdateDatasetRequest, context: Context) -> dataset_pb2.Dataset:
        """Changes a dataset."""
        view = await self._updates.update(
            caller().user_id,
            dataset_id_of(request.dataset_id),
            convert.change_fields(request),
            [convert.column_fields(update) for update in request.columns],
            confirm_personal_data=request.confirm_personal_data,
        )
        return convert.dataset_to_proto(view)

    async def DeleteDataset(
        self, request: dataset_pb2.DeleteDatasetRequest, context: Context
    ) -> dataset_pb2.DeleteDatasetResponse:
        """Deletes a dataset."""
        gone = await deletion.delete_dataset(
            self._sessions,
            self._store,
            self._dependents,
            caller().user_id,
            dataset_id_of(request.dataset_id),
            cascade=request.cascade,
        )
        return dataset_pb2.DeleteDatasetResponse(
            deleted_jobs=gone.jobs, deleted_models=gone.models, deleted_studies=gone.studies
        )

    async def ListRows(self, request: dataset_pb2.ListRowsRequest, context: Context) -> dataset_pb2.ListRowsResponse:
        """Returns a page of rows."""
        check(request)
        query = {"list": "rows", "dataset_id": request.dataset_id, "version": request.version}
        limit = page_limit(request.page_size, default=rows.DEFAULT_PAGE_ROWS, maximum=rows.LARGEST_PAGE_ROWS)
        key = decode_page_token(request.page_token, query)
        # A page of the latest version is followed by pages of the same, whatever is uploaded meanwhile.
        number = lists.whole_number(key, "version") if key is not None else request.version
        offset = lists.whole_number(key, "offset", rows.LARGEST_OFFSET) if key is not None else 0
        view = await self._ready(request.dataset_id, number)
        try:
            page = await rows.read_page(self._store, view.version.table_key or "", offset, limit)
        except ObjectMissing:
            raise DatasetNotFound(request.dataset_id) from None
        token = ""
        if page.next_offset is not None:
            token = encode_page_token(query, {"version": view.version.number, "offset": page.next_offset})
        return dataset_pb2.ListRowsResponse(rows=page.rows, next_page_token=token, columns=page.columns)

    async def GetDatasetProfile(
        self, request: dataset_pb2.GetDatasetProfileRequest, context: Context
    ) -> profile_pb2.DatasetProfile:
        """Returns a version's profile."""
        view = await self._ready(request.dataset_id, request.version)
        async with self._sessions() as session:
            profile = await repository.profile_of(session, view.version)
        return convert.profile_to_proto(view, profile, caller().user_id)

    async def ListDatasetVersions(
        self, request: dataset_pb2.ListDatasetVersionsRequest, context: Context
    ) -> dataset_pb2.ListDatasetVersionsResponse:
        """Lists a dataset's versions."""
        check(request)
        dataset_id = dataset_id_of(request.dataset_id)
        async with self._sessions() as session:
            await repository.find_readable(session, caller().user_id, dataset_id)
            page, token = await lists.versions(session, dataset_id, request.page_size, request.page_token)
        return dataset_pb2.ListDatasetVersionsResponse(
            versions=[convert.version_to_proto(version) for version in page], next_page_token=token
        )

    async def ExportDataset(
        self, request: dataset_pb2.ExportDatasetRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Streams a version as a file."""
        check(request)
        view = await self._ready(request.dataset_id, request.version)
        export = exports.choose(view, request.format)
        await self._tell_export(view, {"format": export.table_format, "way": "stream"})
        headers = {"content-disposition": content_disposition(export.filename)}
        if export.length is not None:
            headers["x-content-length"] = str(export.length)
        async with aclosing(exports.stream(self._store, self._workspace, view.version, export)) as pieces:
            async for body in send_file(context, headers, export.content_type, pieces):
                yield body

    async def GetDatasetDownloadUrl(
        self, request: dataset_pb2.GetDatasetDownloadUrlRequest, context: Context
    ) -> dataset_pb2.DatasetDownloadUrl:
        """Returns a signed URL of a version's file."""
        check(request)
        seconds = url_seconds(request.expires)
        view = await self._ready(request.dataset_id, request.version)
        expire_time = utc_now() + timedelta(seconds=seconds)
        url = await exports.signed_url(self._store, view, request.format, seconds)
        await self._tell_export(view, {"format": request.format or exports.TABLE, "way": "url", "seconds": seconds})
        return dataset_pb2.DatasetDownloadUrl(url=url, expire_time=to_timestamp(expire_time))

    async def _tell_export(self, view: View, how: Mapping[str, Any]) -> None:
        """Before the first byte: nothing leaves without being told."""
        async with self._sessions.begin() as session:
            await telling.dataset_exported(session, view.dataset, view.version, how)

    async def _body(self, request_iterator: AsyncIterator[dataset_pb2.UploadDatasetRequest], context: Context) -> Body:
        requests = aiter(request_iterator)
        first = await first_of(requests)
        return Body(opening_of(first, context), chunks_of(first, requests), self._rules.max_file_bytes)

    async def _ready(self, dataset_id: str, number: int) -> View:
        """A version that the caller may read, with its dataset; 0 is the latest that has a table."""
        async with self._sessions() as session:
            view = await repository.find_readable(session, caller().user_id, dataset_id_of(dataset_id))
            return View(view.dataset, await repository.find_ready(session, view.dataset.id, number))
