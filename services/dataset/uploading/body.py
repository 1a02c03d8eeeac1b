"""An upload's body: the file in it, checked to be whole, and what was said about it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from servicekit.errors import InvalidRequest, Violation
from services.dataset.errors import FileEmpty, FileTooLarge, UploadIncomplete
from services.dataset.uploading.form import FILE_FIELD, form_of

# Of a form beside its file: boundaries, headers, fields.
_MOST_OVERHEAD_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Opening:
    """What the first message of an upload says. Fields that are empty there are left out of `fields`."""

    fields: Mapping[str, str]
    wait: bool
    sha256: str  # announced by the caller; empty if not
    content_type: str
    declared_bytes: int | None  # of the whole body, where the gateway knows


class Body:
    """The body of an upload, read once."""

    def __init__(self, opening: Opening, chunks: AsyncIterator[bytes], limit_bytes: int) -> None:
        """Begins to read.

        Raises:
            FileTooLarge: what was declared is larger than is allowed already.
            InvalidRequest: the content type is that of no form that can be read.
        """
        self.opening = opening
        self._chunks = chunks
        self._limit_bytes = limit_bytes
        self._form = form_of(opening.content_type)
        overhead = _MOST_OVERHEAD_BYTES if self._form else 0
        if opening.declared_bytes is not None and opening.declared_bytes > limit_bytes + overhead:
            raise FileTooLarge(limit_bytes)

    @property
    def is_form(self) -> bool:
        """Whether more may be said about the file in the body itself."""
        return self._form is not None

    @property
    def fields(self) -> Mapping[str, str]:
        """What was said about the file, in the form before in the first message; whole once the file is read."""
        return {**self.opening.fields, **(self._form.fields if self._form else {})}

    @property
    def file_name(self) -> str:
        """What the file is called, without a path; empty if nobody said."""
        name = self._form.file_name if self._form else ""
        return PurePosixPath(PureWindowsPath(name).as_posix()).name

    async def file(self) -> AsyncIterator[bytes]:
        """The file's bytes as they arrive; ends only if all have arrived.

        Raises:
            FileTooLarge: there are more than are allowed.
            FileEmpty: there are none.
            UploadIncomplete: the client was cut off.
            InvalidRequest: the form is broken or has no file.
        """
        arrived = size = 0
        async for chunk in self._chunks:
            arrived += len(chunk)
            piece = self._form.feed(chunk) if self._form else chunk
            size += len(piece)
            if size > self._limit_bytes or arrived > size + _MOST_OVERHEAD_BYTES:
                raise FileTooLarge(self._limit_bytes)
            if piece:
                yield piece
        # A client that has gone often looks like one that has finished; then its call's cancellation comes only now.
        await asyncio.sleep(0)
        declared = self.opening.declared_bytes
        if declared is not None and arrived != declared:
            raise UploadIncomplete(f"{arrived:,} of {declared:,} bytes arrived")
        if self._form is not None:
            if not self._form.complete:
                raise UploadIncomplete("the form's closing boundary is missing")
            if not self._form.has_file:
                raise InvalidRequest([Violation(FILE_FIELD, "is required: the form has no file")])
        if size == 0:
            raise FileEmpty
