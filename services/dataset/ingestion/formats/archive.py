"""A workbook's archive, looked through before it is read: whole, and not too large once it is unpacked."""

import re
import zipfile
import zlib
from pathlib import Path
from typing import IO

from servicekit.tabular import xlsx as written
from services.dataset.ingestion.faults import Fault, Reason, unreadable
from services.dataset.ingestion.tasks import Limits
from services.dataset.ingestion.unpack import Allowed

_WORKBOOK = "xl/workbook.xml"
_PROPERTIES = "docProps/custom.xml"
_STRINGS = "sharedStrings.xml"
_MOST_PROPERTIES_BYTES = 1_000_000
_CHUNK_BYTES = 1024 * 1024
_ADDRESS = re.compile(rb"""\br=["']([A-Z]{1,3})([0-9]{1,7})["']""")
_CELLS = (b"<c ", b"<c>", b":c ", b":c>")
_LONGEST_TAG = 3
_ADDRESSES_BYTES = 16 * 1024
# What was measured: a cell that is there is held twice while a sheet is read, one that isn't once.
_CELL_BYTES, _GAP_BYTES = 48, 32
_MEMORY_SHARE = 0.7  # of what the process may have; the rest is for everything else


def inspect(source: Path, limits: Limits) -> str:
    """Looks through a workbook's archive; returns the types that Mirage noted in it, a letter a column.

    Every part is unpacked, piece by piece, and its checksum compared: what an archive says of its sizes isn't believed.

    Raises:
        Fault: it is no workbook, cut off or damaged, or too large unpacked or in memory.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            if _WORKBOOK not in archive.namelist():
                raise Fault(
                    Reason.UNSUPPORTED,
                    "The file is a zip archive but no Excel workbook: unpack it and upload the table that is in it.",
                )
            allowed = Allowed.to(source, limits)
            if sum(entry.file_size for entry in archive.infolist()) > allowed.bytes:
                raise allowed.exceeded()
            _require_memory(archive, limits)
            return _declared_types(archive)
    except zipfile.BadZipFile as error:
        where = str(error).partition("'")[2].rstrip("'")  # the part's name
        raise unreadable(
            f"The workbook is damaged{f' in its part {where}' if where else ''}, or was cut off at its byte "
            f"{source.stat().st_size:,}: save it again."
        ) from error
    except (NotImplementedError, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise unreadable("The workbook is damaged or encrypted: save it again without a password.") from error


def _require_memory(archive: zipfile.ZipFile, limits: Limits) -> None:
    """One sheet is read, and all strings that the sheets share."""
    strings, largest = 0, 0
    for entry in archive.infolist():
        with archive.open(entry) as part:
            if entry.filename.endswith(_STRINGS):
                strings += 2 * entry.file_size
            largest = max(largest, _sheet_bytes(part, entry.file_size))
    needed, allowed = strings + largest, limits.memory_bytes * _MEMORY_SHARE
    if needed > allowed:
        raise Fault(
            Reason.NEEDS_TOO_MUCH_MEMORY,
            f"Reading the workbook takes about {needed / 1e6:,.0f} MB of memory, more than the {allowed / 1e6:,.0f} MB "
            "allowed: save the sheet as CSV, or as Parquet.",
        )


def _sheet_bytes(part: IO[bytes], size: int) -> int:
    """About how much memory a sheet takes, from how many cells it has and how far they reach."""
    cells = columns = rows = 0
    rest = b""
    while chunk := part.read(_CHUNK_BYTES):
        text = rest + chunk
        rest = text[1 - _LONGEST_TAG :]
        cells += sum(map(text.count, _CELLS))
        # Looking at every address would take longer than reading the sheet. How far cells reach is seen from some;
        # where a sheet is made to deceive, the watch over the process's memory is there.
        found = _ADDRESS.findall(text[:_ADDRESSES_BYTES]) + _ADDRESS.findall(text[-_ADDRESSES_BYTES:])
        if found:
            letters, numbers = zip(*found, strict=True)
            columns = max(columns, *map(_column_number, set(letters)))
            rows = max(rows, *map(int, set(numbers)))
    dense = max(rows * columns, cells)
    return cells * _CELL_BYTES + dense * _GAP_BYTES + (size // 4 if cells else 0)


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _declared_types(archive: zipfile.ZipFile) -> str:
    if _PROPERTIES not in archive.namelist() or archive.getinfo(_PROPERTIES).file_size > _MOST_PROPERTIES_BYTES:
        return ""
    properties = archive.read(_PROPERTIES).decode("utf-8", errors="replace")
    pattern = rf'name="{re.escape(written.TYPES_PROPERTY)}\.(\d+)"\s*>\s*<vt:lpwstr>([a-z]+)</vt:lpwstr>'
    return "".join(letters for _, letters in sorted(re.findall(pattern, properties), key=lambda found: int(found[0])))
