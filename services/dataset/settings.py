"""The dataset service's settings; the only reader of its environment."""

import os
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from servicekit.settings import ActivitySettings, ObjectStoreSettings, PeerSettings, ServiceSettings

FORMATS = ("csv", "json", "jsonl", "xlsx", "parquet")
_MEBIBYTE = 1024 * 1024


def _half_of_the_cores() -> int:
    return max(1, (os.cpu_count() or 1) // 2)


class Settings(ServiceSettings, PeerSettings, ActivitySettings, ObjectStoreSettings):
    """What the service reads."""

    generation_address: str = Field(min_length=1, examples=["localhost:50053"])
    optimizer_address: str = Field(min_length=1, examples=["localhost:50054"])

    max_file_size_mb: int = Field(500, ge=1, le=1_000_000, description="of an upload", examples=["500"])
    supported_file_types: Annotated[tuple[str, ...], NoDecode] = Field(
        FORMATS, min_length=1, examples=[",".join(FORMATS)]
    )
    max_columns: int = Field(2000, ge=1, le=100_000, examples=["2000"])
    max_unpacked_size_mb: int = Field(5000, ge=1, le=10_000_000, description="of a packed file", examples=["5000"])
    max_unpack_ratio: int = Field(
        200, ge=1, le=10_000, description="how many times larger a packed file may get", examples=["200"]
    )
    temp_file_ttl_minutes: int = Field(
        60, ge=1, le=10_080, description="an upload that takes longer is given up", examples=["60"]
    )

    ingestion_slots: int = Field(
        default_factory=_half_of_the_cores, ge=1, le=256, description="files read in at once", examples=["2"]
    )
    ingestion_memory_limit_mb: int = Field(
        2048, ge=256, le=1_000_000, description="of resident memory while one file is read in", examples=["2048"]
    )
    ingestion_timeout_seconds: float = Field(
        1800.0, gt=0, description="a file that takes longer to read in fails", examples=["1800"]
    )
    ingestion_heartbeat_seconds: float = Field(
        30.0, gt=0, description="a process silent for longer has lost its files to others", examples=["30"]
    )
    ingestion_max_losses: int = Field(
        3, ge=1, le=100, description="a file that has cost so many processes their life fails", examples=["3"]
    )
    stream_heartbeat_seconds: float = Field(15.0, gt=0, examples=["15"])

    @field_validator("supported_file_types", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(name.strip().lower() for name in value.split(",") if name.strip())
        unknown = ", ".join(name for name in names if name not in FORMATS)
        if unknown:
            raise ValueError(f"{unknown} can't be read; choose among {', '.join(FORMATS)}")
        return names

    @property
    def max_file_bytes(self) -> int:
        """The largest upload."""
        return self.max_file_size_mb * _MEBIBYTE

    @property
    def max_unpacked_bytes(self) -> int:
        """The largest content of a packed file."""
        return self.max_unpacked_size_mb * _MEBIBYTE

    @property
    def ingestion_memory_bytes(self) -> int:
        """The most memory that reading a file in may take."""
        return self.ingestion_memory_limit_mb * _MEBIBYTE

    @property
    def upload_time_s(self) -> float:
        """How long an upload may take."""
        return self.temp_file_ttl_minutes * 60.0
