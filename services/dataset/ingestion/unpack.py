"""Files that are packed: gzip and zstd around a text file are taken off, within limits."""

from pathlib import Path

import pyarrow as pa

from services.dataset.ingestion.faults import Fault, Reason, unreadable
from services.dataset.ingestion.tasks import Limits

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CHUNK_BYTES = 64 * 1024  # what could be unpacked is told as precisely


def unpacked(source: Path, directory: Path, limits: Limits) -> Path:
    """The file itself, or where it is packed what is in it, written into `directory`.

    Raises:
        Fault: it is damaged, or larger unpacked than is allowed.
    """
    with source.open("rb") as file:
        start = file.read(4)
    packing = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    if packing is None:
        return source
    target = directory / "unpacked"
    most = allowed_size(source, limits)
    written = 0
    try:
        with pa.CompressedInputStream(pa.OSFile(str(source)), packing) as packed, target.open("wb") as file:
            while chunk := packed.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > most:
                    raise too_large(most)
                file.write(chunk)
    except OSError as error:
        raise unreadable(
            f"The {packing} file is damaged or was cut off at its byte {source.stat().st_size:,}: no more than "
            f"{written:,} bytes can be unpacked from it. Pack it again."
        ) from error
    return target


def allowed_size(source: Path, limits: Limits) -> int:
    """Bytes that a packed file may have unpacked; small files may always grow a little."""
    return min(limits.max_unpacked_bytes, max(source.stat().st_size * limits.max_unpack_ratio, 10_000_000))


def too_large(most: int) -> Fault:
    """What is in a packed file is larger than is allowed."""
    return Fault(Reason.UNPACKS_TOO_LARGE, f"Unpacked, the file is larger than the {most / 1e6:,.0f} MB allowed.")
