"""What users ask for, as far as it can be judged without the dataset and the model."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mirage.generation.v1.job_pb2 import StartJobRequest
from servicekit.limits import fault, limited
from services.generation.engines.parameters import Limits

OutputFormat = Literal["csv", "jsonl", "json", "parquet", "xlsx"]
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
LARGEST_SEED = 2**32 - 1

_SAMPLE_SIZE = StartJobRequest.DESCRIPTOR.fields_by_name["sample_size"]


@dataclass(frozen=True)
class RequestLimits:
    """What the deployment allows."""

    minimum_sample_size: int
    maximum_sample_size: int
    default_sample_size: int
    epochs: Limits

    def check_sample_size(self, sample_size: int) -> None:
        """Raises ValueError unless so many rows may be drawn."""
        settings = {"MIN_SAMPLE_SIZE": self.minimum_sample_size, "MAX_SAMPLE_SIZE": self.maximum_sample_size}
        if wrong := fault(_SAMPLE_SIZE, sample_size, settings):
            raise ValueError(wrong)


class OptimizationRequest(BaseModel):
    """Whether the best parameters are to be searched for, and how; what the values may be is the optimizer's to say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    enabled: bool = False
    method: str | None = None
    n_trials: int | None = None
    metric: str | None = None
    search_space: dict[str, JsonValue] | None = None
    acquisition_function: str | None = None
    random_state: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = None
    parallel_trials: int | None = None
    timeout_seconds: float | None = None
    patience: int | None = None
    caps: dict[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _meant(self) -> Self:
        if self.model_fields_set and "enabled" not in self.model_fields_set:
            raise ValueError('says how to search, but not whether: it must have "enabled", true or false')
        return self


class JobRequest(BaseModel):
    """What a user asks for, as far as it can be judged without the dataset and the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_id: Annotated[str, limited(StartJobRequest, "dataset_id")]
    dataset_version: int = Field(0, ge=0)
    sample_size: int | None = None
    seed: int | None = Field(None, ge=0, le=LARGEST_SEED)
    model: dict[str, JsonValue] = Field(default_factory=dict, alias="model_config")
    optimization: OptimizationRequest = Field(default_factory=OptimizationRequest, alias="optimization_config")
    output_format: Annotated[OutputFormat, limited(StartJobRequest, "output_format")] = "csv"
    include_metadata: bool = False
    columns: tuple[str, ...] = ()
    primary_key: str = ""
    target_column: str = ""
    holdout_fraction: Annotated[float, limited(StartJobRequest, "holdout_fraction")] = 0.1
    engine: str = ""
    privacy: dict[str, JsonValue] = Field(default_factory=dict)
    conditions: dict[str, JsonValue] = Field(default_factory=dict)
    sensitive_columns: tuple[str, ...] = ()
    name: Annotated[str, StringConstraints(strip_whitespace=True), limited(StartJobRequest, "name")] = ""

    @field_validator("sample_size")
    @classmethod
    def _within_limits(cls, sample_size: int | None, info: ValidationInfo) -> int | None:
        if sample_size is not None and isinstance(info.context, RequestLimits):
            info.context.check_sample_size(sample_size)
        return sample_size

    @field_validator("privacy")
    @classmethod
    def _not_private_yet(cls, privacy: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if privacy:
            raise ValueError("no engine of this platform trains with differential privacy yet; leave it out")
        return privacy
