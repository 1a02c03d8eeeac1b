"""Datasets as files: streamed in any format, or by a signed URL."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePath

from servicekit import tabular
from servicekit.downloads import file_stem, from_thread
from servicekit.errors import InvalidRequest, Violation
from servicekit.object_store import ObjectMissing, ObjectStore
from servicekit.workspace import Workspace
from services.dataset.errors import DatasetNotFound
from services.dataset.models import Version
from services.dataset.repository import View

TABLE, ORIGINAL = "parquet", "original"


@dataclass(frozen=True)
class Export:
    """A table as the file that a caller wants."""

    table_format: str
    filename: str
    content_type: str
    length: int | None  # bytes, where they are known beforehand


def choose(view: View, wanted: str) -> Export:
    """The file that a format (nothing: csv) means for a ready version.

    Raises:
        InvalidRequest: there is no such format.
    """
    table_format = wanted or next(iter(tabular.FORMATS))
    if table_format not in tabular.FORMATS:
        raise InvalidRequest([Violation("format", f"must be one of {', '.join(tabular.FORMATS)}")])
    return Export(
        table_format=table_format,
        filename=f"{_stem(view)}.{tabular.file_extension(table_format)}",
        content_type=tabular.content_type(table_format),
        length=view.version.table_bytes if table_format == TABLE else None,
    )


async def stream(
    store: ObjectStore, workspace: Workspace, version: Version, export: Export
) -> AsyncGenerator[bytes, None]:
    """The file's bytes.

    Raises:
        DatasetNotFound: the dataset was deleted meanwhile.
        TableTooLarge: the format can't hold the table.
    """
    key = version.table_key or ""
    try:
        if export.length is not None:
            async for chunk in store.open_stream(key):
                yield chunk
            return
        with workspace.directory() as directory:
            table = directory / "table.parquet"
            await store.get_file(key, table)
            async for chunk in from_thread(tabular.stream_table(table, export.table_format)):
                yield chunk
    except ObjectMissing:
        raise DatasetNotFound(version.dataset_id) from None


async def signed_url(store: ObjectStore, view: View, wanted: str, seconds: int) -> str:
    """A URL from which anybody can fetch the table, or the file as it was uploaded, for so many seconds.

    Raises:
        InvalidRequest: there is no such format.
    """
    if wanted not in ("", TABLE, ORIGINAL):
        raise InvalidRequest([Violation("format", f"must be {TABLE} or {ORIGINAL}")])
    version = view.version
    if wanted == ORIGINAL:
        filename = PurePath(version.source_name).name or f"{_stem(view)}.{version.source_format}"
        return await store.presigned_get(version.source_key, seconds, filename)
    return await store.presigned_get(version.table_key or "", seconds, f"{_stem(view)}.{TABLE}")


def _stem(view: View) -> str:
    return file_stem(view.dataset.name, str(view.dataset.id))
