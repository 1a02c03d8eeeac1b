"""Text in any usual encoding becomes UTF-8."""

import codecs
import re
from pathlib import Path
from typing import BinaryIO

import charset_normalizer

from services.dataset.ingestion.faults import Fault, Reason, unreadable

_CHUNK_BYTES = 1024 * 1024
_SAMPLE_BYTES = 256 * 1024
# The longer mark first: UTF-32's begins like UTF-16's.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Where a text could be several of them, the first is taken: the likelier ones stand first.
_LEGACY = (
    "cp1252", "iso8859_15", "cp1250", "cp1251", "koi8_r", "iso8859_2", "cp1253", "cp1254", "cp1255", "cp1256",
    "cp932", "euc_jp", "gb18030", "big5", "cp949",
)  # fmt: skip
_WESTERN = "cp1252"
_NAMES = {"cp1252": "Windows-1252", "latin_1": "Latin-1", "cp1250": "Windows-1250", "cp1251": "Windows-1251"}
# More bytes than this share that no text has, and it is no text; not one of them where it isn't UTF-8 either.
_MOST_CONTROL_CHARACTERS = 0.1
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")


class Text:
    """A text file in UTF-8. `note` says what was assumed about the original's encoding; empty if nothing."""

    def __init__(self, path: Path, offset: int = 0, note: str = "") -> None:
        self.path = path
        self.offset = offset  # of the first byte behind a byte order mark
        self.note = note

    def open(self) -> BinaryIO:
        """The text from its first character."""
        file = self.path.open("rb")
        file.seek(self.offset)
        return file

    def start(self, size: int) -> str:
        """The first characters; one that `size` bytes cut in two is left out."""
        with self.open() as file:
            return file.read(size).decode("utf-8", errors="ignore")


def as_text(source: Path, directory: Path) -> Text:
    """A file as UTF-8 text, written anew into `directory` if it is in another encoding.

    Raises:
        Fault: it is no text, holds null characters, or is broken in its encoding.
    """
    with source.open("rb") as file:
        start = file.read(4096)
    mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
    encoding = _MARKS.get(mark) or _wide(start)
    if encoding == "utf-8-sig":
        _require_utf8(source, len(mark))
        return Text(source, len(mark))
    if encoding is not None:
        return Text(_transcoded(source, directory, encoding))
    foreign = [match.start() for match in _NO_TEXT.finditer(start)]
    if len(foreign) > _MOST_CONTROL_CHARACTERS * len(start) or (foreign and not _begins_as_utf8(start)):
        raise not_a_table(foreign[0])
    if _first_fault(source, 0) is None:
        return Text(source)
    encoding = _legacy(source)
    note = f"The file isn't in UTF-8; it was read as {_NAMES.get(encoding, encoding)}."
    return Text(_transcoded(source, directory, encoding), note=note)


def not_a_table(position: int = 0) -> Fault:
    """The file is of no kind that is read, as is seen at one of its bytes, counted from 0."""
    return Fault(
        Reason.UNSUPPORTED,
        f"The file is no table that can be read, as its byte {position + 1:,} shows: it should be CSV, JSON, "
        "JSON lines, Parquet or a workbook (.xlsx).",
    )


def _wide(start: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Latin text is zero."""
    if len(start) < 4:
        return None
    even, odd = start[0::2].count(0) / len(start[0::2]), start[1::2].count(0) / len(start[1::2])
    if odd > 0.6 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 and odd < 0.1 else None


def _begins_as_utf8(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def _first_fault(source: Path, offset: int) -> int | None:
    """Where the file is no UTF-8; None if it is, throughout.

    Raises:
        Fault: it holds a null character.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, lines = offset, 0
    with source.open("rb") as file:
        file.seek(offset)
        while True:
            chunk = file.read(_CHUNK_BYTES)
            if b"\0" in chunk:
                before = chunk[: chunk.index(b"\0")]
                raise _null_character(lines + before.count(b"\n"), position + len(before))
            lines += chunk.count(b"\n")
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return position - pending + error.start
            if not chunk:
                return None
            position += len(chunk)


def _require_utf8(source: Path, offset: int) -> None:
    position = _first_fault(source, offset)
    if position is not None:
        raise unreadable(f"The file is marked as UTF-8 but byte {position + 1:,} is none; save it as UTF-8 again.")


def _null_character(lines: int, position: int) -> Fault:
    """So many lines and bytes stand before it."""
    return unreadable(
        f"Line {lines + 1:,} has a null character (NUL), byte {position + 1:,} of the file, which no text has: "
        "the file is damaged, or isn't what it seems."
    )


def _legacy(source: Path) -> str:
    """The likeliest encoding from before Unicode, judged by the lines that have more than ASCII."""
    sample = bytearray()
    with source.open("rb") as file:
        while len(sample) < _SAMPLE_BYTES and (chunk := file.read(_CHUNK_BYTES)):
            for line in chunk.splitlines(keepends=True):
                if not line.isascii():
                    sample += line[:4096]
    matches = charset_normalizer.from_bytes(bytes(sample[:_SAMPLE_BYTES]), cp_isolation=list(_LEGACY))
    ranked = sorted(
        (match.chaos, -match.coherence, _LEGACY.index(name), name)
        for match in matches
        for name in match.could_be_from_charset
        if name in _LEGACY
    )
    names = [name for _, _, _, name in ranked]
    western = next((rank for rank in ranked if rank[3] == _WESTERN), None)
    if western and _may_be_western(bytes(sample), western[:2], ranked[0][:2]):
        names.insert(0, _WESTERN)
    return next((name for name in [*names, _WESTERN] if _decodes(source, name)), "latin_1")


def _may_be_western(sample: bytes, western: tuple[float, float], best: tuple[float, float]) -> bool:
    """Whether Windows-1252, by far the most frequent of its kind, is nearly as likely as the likeliest.

    Ranks are (chaos, -coherence). Languages of Eastern Europe betray themselves: some of their letters are signs in
    Windows-1252, and stand in the middle of words.
    """
    near = western[0] <= best[0] + 0.1 and -western[1] >= 0.95 * -best[1]
    return near and not re.search(r"\w[£¥¯³¹¿¼¾ª]\w", sample.decode(_WESTERN, errors="replace"))


def _decodes(source: Path, encoding: str) -> bool:
    try:
        with source.open(encoding=encoding, newline="") as file:
            while file.read(_CHUNK_BYTES):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _transcoded(source: Path, directory: Path, encoding: str) -> Path:
    target = directory / "utf8.txt"
    decoder = codecs.getincrementaldecoder(encoding)()
    position = lines = 0
    with source.open("rb") as original, target.open("w", encoding="utf-8", newline="") as file:
        while True:
            chunk = original.read(_CHUNK_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                byte = position - pending + error.start + 1
                raise unreadable(
                    f"The file seems to be {encoding.upper()} but can't be decoded from byte {byte:,} on: "
                    "save it as UTF-8."
                ) from None
            if "\0" in text:
                before = text[: text.index("\0")]
                size = len(before.encode(encoding)) - (len("".encode(encoding)) if position else 0)  # less a mark
                raise _null_character(lines + before.count("\n"), position - pending + size)
            if position == 0:
                text = text.removeprefix("\ufeff")
            lines += text.count("\n")
            file.write(text)
            if not chunk:
                return target
            position += len(chunk)
