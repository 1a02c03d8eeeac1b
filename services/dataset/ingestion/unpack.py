"""Files that are packed: gzip and zstd around a text file are taken off, within limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from services.dataset.ingestion.faults import Fault, Reason, unreadable
from services.dataset.ingestion.tasks import Limits

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CHUNK_BYTES = 64 * 1024  # what could be unpacked is told as precisely
_ALWAYS_BYTES = 10 * 2**20


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
    allowed = Allowed.to(source, limits)
    written = 0
    try:
        with pa.CompressedInputStream(pa.OSFile(str(source)), packing) as packed, target.open("wb") as file:
            while chunk := packed.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > allowed.bytes:
                    raise allowed.exceeded()
                file.write(chunk)
    except OSError as error:
        raise unreadable(
            f"The {packing} file is damaged or was cut off at its byte {source.stat().st_size:,}: no more than "
            f"{written:,} bytes can be unpacked from it. Pack it again."
        ) from error
    return target


@dataclass(frozen=True)
class Allowed:
    """How large a packed file may be unpacked, in bytes, and why."""

    bytes: int
    why: str

    @classmethod
    def to(cls, source: Path, limits: Limits) -> Self:
        """What is allowed to a file; small ones may always grow a little."""
        packed, ratio = source.stat().st_size, limits.max_unpack_ratio
        most = max(packed * ratio, _ALWAYS_BYTES)
        if most >= limits.max_unpacked_bytes:
            return cls(limits.max_unpacked_bytes, "to any packed file (MAX_UNPACKED_SIZE_MB)")
        floor = f", or to {_in_megabytes(_ALWAYS_BYTES)} if that is more"
        return cls(
            most, f"to it: a packed file may grow to {ratio} times its {packed:,} bytes{floor} (MAX_UNPACK_RATIO)"
        )

    def exceeded(self) -> Fault:
        """What is in the file is larger."""
        return Fault(
            Reason.UNPACKS_TOO_LARGE,
            f"Unpacked, the file is larger than the {_in_megabytes(self.bytes)} allowed {self.why}.",
        )


def _in_megabytes(count: int) -> str:
    """In the unit of the settings, which is 2**20 bytes."""
    return f"{count / 2**20:,.0f} MB"
