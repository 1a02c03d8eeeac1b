"""Tells what a file is by what is in it, never by its name."""

from pathlib import Path

from services.dataset.ingestion.encoding import as_text, not_a_table
from services.dataset.ingestion.faults import Fault, Reason
from services.dataset.ingestion.formats import csv, json, parquet, xlsx
from services.dataset.ingestion.reading import Reading
from services.dataset.ingestion.tasks import Limits
from services.dataset.ingestion.unpack import unpacked

_PARQUET, _ZIP, _OLD_OFFICE = b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
# Beginnings of files that are text or could be taken for it, but are no tables.
_OTHERS = (b"%PDF", b"<!DOCTYPE", b"<!doctype", b"<html", b"<?xml")
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
    if start.lstrip().startswith(_OTHERS):
        raise not_a_table()
    text = as_text(path, directory)
    first = text.start(4096).lstrip(_SPACE)[:2]
    if first.startswith("{"):
        _require("jsonl", limits)
        return json.read(text, limits, "jsonl")
    if first.startswith("["):
        _require("json", limits)
        return json.read(text, limits, "json")
    _require("csv", limits)
    return csv.read(text, limits)


def _require(name: str, limits: Limits) -> None:
    if name not in limits.formats:
        raise Fault(
            Reason.UNSUPPORTED,
            f"The file is {name}, which isn't taken here; these are: {', '.join(sorted(limits.formats))}.",
        )
