"""The optimizer service's settings; the only reader of its environment."""

from typing import Self

from pydantic import Field, model_validator

from servicekit.settings import ActivitySettings, PeerSettings, ServiceSettings


class Settings(ServiceSettings, PeerSettings, ActivitySettings):
    """What the service reads."""

    generation_address: str = Field(min_length=1, examples=["localhost:50053"])
    default_optimization_trials: int = Field(20, ge=1, description="trials of a study", examples=["20"])
    max_optimization_trials: int = Field(
        100, ge=1, le=10_000, description="trials that one study may have", examples=["100"]
    )
    optimization_timeout_hours: float = Field(
        24.0, gt=0, le=720, description="a study that takes longer ends with the best so far", examples=["24"]
    )
    max_parallel_trials: int = Field(
        4, ge=1, le=64, description="trials of one study that may run at once", examples=["4"]
    )
    study_heartbeat_seconds: float = Field(
        30.0, gt=0, description="a process silent for longer has lost its studies to others", examples=["30"]
    )
    stream_heartbeat_seconds: float = Field(15.0, gt=0, examples=["15"])

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.default_optimization_trials > self.max_optimization_trials:
            raise ValueError("DEFAULT_OPTIMIZATION_TRIALS must not exceed MAX_OPTIMIZATION_TRIALS, as 20 and 100 don't")
        return self
