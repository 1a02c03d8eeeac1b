"""Tells what a file is by what is in it, never by its name."""

import re
from pathlib import Path

from services.dataset.ingestion.encoding import as_text, not_a_table
from services.dataset.ingestion.faults import Fault, Reason
from services.dataset.ingestion.formats import csv, json, parquet, xlsx
from services.dataset.ingestion.reading import Reading
from services.dataset.ingestion.tasks import Limits
from services.dataset.ingestion.unpack import unpacked

_PARQUET, _ZIP, _OLD_OFFICE, _PDF = b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF"
# Not any tag: some programs write names as <DATE>.
_TAGS = "html|head|body|table|div|script|style|meta|svg|form|p|pre|h[1-6]"
_MARKUP = re.compile(rf"\s*(<(?:!doctype|!--|\?xml|(?:{_TAGS})[\s/>]))", re.IGNORECASE)
_SPACE = " \t\r\n"


def open_file(source: Path, directory: Path, limits: Limits) -> Reading:
    """Opens a file of any format that is allowed. `directory` takes what has to be written for that.

    Raises:
        Fault: it is of no such format, or broken.
    """
    path = unpacked(source, directory, limits)
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(_PARQUET):
        _require("parquet", limits)
        return parquet.read(path, limits)
    if start.startswith(_ZIP):
        _require("xlsx", limits)
        return xlsx.read(path, limits)
    if start.startswith(_OLD_OFFICE):
        raise Fault(
            Reason.UNSUPPORTED,
            "The file is an old or a protected Excel workbook: save it as .xlsx, without a password.",
        )
    if start.startswith(_PDF):
        raise not_a_table()
    text = as_text(path, directory)
    beginning = text.start(4096)
    _refuse_markup(beginning)
    first = beginning.lstrip(_SPACE)[:2]
    if first.startswith("{"):
        _require("jsonl", limits)
        return json.read(text, limits, "jsonl")
    if first.startswith("["):
        _require("json", limits)
        return json.read(text, limits, "json")
    _require("csv", limits)
    return csv.read(text, limits)


def _refuse_markup(beginning: str) -> None:
    """HTML often comes instead of a table: a server's error, a page to sign in."""
    found = _MARKUP.match(beginning)
    if found:
        line = beginning[: found.start(1)].count("\n") + 1
        raise Fault(
            Reason.UNSUPPORTED,
            f"The file is HTML or XML, no table, as line {line} shows: it should be CSV, JSON, JSON lines, Parquet or "
            "a workbook (.xlsx).",
        )


def _require(name: str, limits: Limits) -> None:
    if name not in limits.formats:
        raise Fault(
            Reason.UNSUPPORTED,
            f"The file is {name}, which isn't taken here; these are: {', '.join(sorted(limits.formats))}.",
        )
