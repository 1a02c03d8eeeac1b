"""The generation service's settings; the only reader of its environment."""

import os
from typing import Self

from pydantic import Field, model_validator

from servicekit.settings import ActivitySettings, ObjectStoreSettings, PeerSettings, ServiceSettings
from services.generation.engines.parameters import GAN_EPOCHS


def _half_of_the_cores() -> int:
    return max(1, (os.cpu_count() or 1) // 2)


class _CommonSettings(ServiceSettings, PeerSettings, ObjectStoreSettings):
    """What the service and its workers read."""

    dataset_address: str = Field(min_length=1, examples=["localhost:50052"])
    max_concurrent_generations: int = Field(
        5, ge=1, le=1000, description="jobs that one user may have running; others wait", examples=["5"]
    )
    request_timeout_seconds: int = Field(3600, ge=1, le=604_800, description="for one job", examples=["3600"])
    worker_slots: int = Field(
        default_factory=_half_of_the_cores,
        ge=1,
        le=256,
        description="models trained at once on a machine",
        examples=["2"],
    )
    training_memory_limit_mb: int | None = Field(
        None,
        ge=256,
        description="resident memory of one training; a share of the machine's if absent",
        examples=["4096"],
    )
    retention_days: int = Field(
        0, ge=0, le=36_500, description="tables and models are deleted after; 0 keeps them for ever", examples=["90"]
    )


class Settings(_CommonSettings, ActivitySettings):
    """What the service reads."""

    optimizer_address: str = Field(
        "", description="without it no job can have its parameters searched for", examples=["localhost:50054"]
    )
    study_heartbeat_seconds: float = Field(
        30.0,
        gt=0,
        description="a process silent for longer has lost its searches to others",
        examples=["30"],
    )
    default_sample_size: int = Field(1000, ge=1, examples=["1000"])
    min_sample_size: int = Field(1, ge=1, examples=["1"])
    max_sample_size: int = Field(100_000, ge=1, le=2_000_000_000, examples=["100000"])
    default_epochs: int = Field(100, ge=1, examples=["100"])
    min_epochs: int = Field(1, ge=1, le=GAN_EPOCHS[1], description="GANs and VAEs start at 10", examples=["1"])
    # What GANs and VAEs can't take would be promised in vain, and a most below their least would leave them none.
    max_epochs: int = Field(500, ge=GAN_EPOCHS[0], le=GAN_EPOCHS[1], examples=["500"])
    require_approval: bool = Field(False, examples=["true"])
    auto_approve_below_rows: int = Field(
        0, ge=0, description="jobs of at most so many rows need no approval", examples=["1000"]
    )
    stream_heartbeat_seconds: float = Field(15.0, gt=0, examples=["15"])

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_sample_size <= self.default_sample_size <= self.max_sample_size:
            raise ValueError(
                "MIN_SAMPLE_SIZE, DEFAULT_SAMPLE_SIZE and MAX_SAMPLE_SIZE must ascend, as 1, 1000, 100000 do"
            )
        if not self.min_epochs <= self.default_epochs <= self.max_epochs:
            raise ValueError("MIN_EPOCHS, DEFAULT_EPOCHS and MAX_EPOCHS must ascend, as 1, 100, 500 do")
        return self


class WorkerSettings(_CommonSettings):
    """What a worker reads."""

    worker_heartbeat_seconds: float = Field(
        30.0, gt=0, description="a worker silent for longer has lost its jobs to others", examples=["30"]
    )
    worker_max_losses: int = Field(
        3, ge=1, le=100, description="a job that has cost so many workers their life fails", examples=["3"]
    )
