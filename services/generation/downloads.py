"""Synthetic tables as files: in any format, streamed, and with the document that says how the table was made."""

import json
import tempfile
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path

from zipstream import ZIP_DEFLATED, ZipStream

from servicekit import tabular
from servicekit.downloads import file_stem, from_thread
from servicekit.errors import InvalidRequest, Violation
from servicekit.object_store import ObjectMissing, ObjectStore
from services.generation.errors import JobNotFound, TableNotReady
from services.generation.metadata import metadata_document
from services.generation.models import Job
from services.generation.requests import OUTPUT_FORMATS

ZIP = "zip"


@dataclass(frozen=True)
class Download:
    """A table as the file that a caller wants."""

    table_format: str
    zipped: bool
    filename: str
    content_type: str
    length: int | None  # bytes, where they are known beforehand


def choose(job: Job, wanted: str) -> Download:
    """The file that `wanted` (a format, `zip`, or nothing for the job's own choice) means for this job.

    Raises:
        InvalidRequest: there is no such format.
    """
    if wanted and wanted != ZIP and wanted not in OUTPUT_FORMATS:
        formats = ", ".join((*OUTPUT_FORMATS, ZIP))
        raise InvalidRequest([Violation("format", f"must be one of {formats}, or empty for the job's own")])
    zipped = wanted == ZIP or (not wanted and job.include_metadata)
    table_format = job.output_format if wanted in {"", ZIP} else wanted
    stored = table_format == "parquet" and not zipped
    return Download(
        table_format=table_format,
        zipped=zipped,
        filename=f"{_stem(job)}.{ZIP}" if zipped else table_name(job, table_format),
        content_type="application/zip" if zipped else tabular.content_type(table_format),
        length=job.table_bytes if stored else None,
    )


def table_name(job: Job, table_format: str) -> str:
    """What the table's file is called."""
    return f"{_stem(job)}.{tabular.file_extension(table_format)}"


async def stream(store: ObjectStore, job: Job, download: Download) -> AsyncGenerator[bytes, None]:
    """The file's bytes.

    Raises:
        JobNotFound: the table was deleted meanwhile.
    """
    table_key = _table_key(job)
    try:
        if download.length is not None:
            async for chunk in store.open_stream(table_key):
                yield chunk
            return
        with tempfile.TemporaryDirectory(prefix="mirage-download-") as directory:
            table = Path(directory) / "table.parquet"
            await store.get_file(table_key, table)
            async for chunk in from_thread(_encode(job, table, download)):
                yield chunk
    except ObjectMissing:
        raise JobNotFound(job.id) from None


async def signed_url(store: ObjectStore, job: Job, seconds: int) -> str:
    """A URL from which anybody can fetch the table as Parquet for so many seconds.

    Raises:
        TableNotReady: there is no table.
    """
    return await store.presigned_get(_table_key(job), seconds, table_name(job, "parquet"))


def _table_key(job: Job) -> str:
    if job.table_key is None:
        raise TableNotReady(job.id, job.state)
    return job.table_key


def _encode(job: Job, table: Path, download: Download) -> Iterator[bytes]:
    content = tabular.stream_table(table, download.table_format)
    if not download.zipped:
        yield from content
        return
    archive = ZipStream(compress_type=ZIP_DEFLATED, compress_level=6)
    archive.add(content, table_name(job, download.table_format))
    document = json.dumps(metadata_document(job), indent=2, ensure_ascii=False, allow_nan=False)
    archive.add(document.encode(), f"{_stem(job)}.metadata.json")
    yield from archive


def _stem(job: Job) -> str:
    return file_stem(job.name, str(job.id))
