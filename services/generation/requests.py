"""What users ask for, as far as it can be judged without the dataset and the model."""

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator

from servicekit.wording import whole_number
from services.generation.engines.parameters import Limits

OutputFormat = Literal["csv", "jsonl", "json", "parquet", "xlsx"]
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class RequestLimits:
    """What the deployment allows."""

    minimum_sample_size: int
    maximum_sample_size: int
    default_sample_size: int
    epochs: Limits

    def check_sample_size(self, sample_size: int) -> None:
        """Raises ValueError unless so many rows may be drawn."""
        if not self.minimum_sample_size <= sample_size <= self.maximum_sample_size:
            raise ValueError(whole_number(self.minimum_sample_size, self.maximum_sample_size))


class OptimizationRequest(BaseModel):
    """Whether the best parameters are to be searched for; the rest of it is the search's own concern."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    enabled: bool = False

    @field_validator("enabled")
    @classmethod
    def _not_yet(cls, enabled: bool) -> bool:
        if enabled:
            raise ValueError("this platform can't search for parameters yet; leave it false")
        return enabled


class JobRequest(BaseModel):
    """What a user asks for, as far as it can be judged without the dataset and the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_id: str
    dataset_version: int = Field(0, ge=0)
    sample_size: int | None = None
    seed: int | None = Field(None, ge=0, le=LARGEST_SEED)
    model: dict[str, JsonValue] = Field(default_factory=dict, alias="model_config")
    optimization: OptimizationRequest = Field(default_factory=OptimizationRequest, alias="optimization_config")
    output_format: OutputFormat = "csv"
    include_metadata: bool = False
    columns: tuple[str, ...] = ()
    primary_key: str = ""
    target_column: str = ""
    holdout_fraction: float = Field(0.1, ge=0, le=0.5, allow_inf_nan=False)
    engine: str = ""
    privacy: dict[str, JsonValue] = Field(default_factory=dict)
    conditions: dict[str, JsonValue] = Field(default_factory=dict)
    sensitive_columns: tuple[str, ...] = ()
    name: str = Field("", max_length=200)

    @field_validator("sample_size")
    @classmethod
    def _within_limits(cls, sample_size: int | None, info: ValidationInfo) -> int | None:
        if sample_size is not None and isinstance(info.context, RequestLimits):
            info.context.check_sample_size(sample_size)
        return sample_size

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("must be one line of printable characters")
        return name.strip()

    @field_validator("privacy")
    @classmethod
    def _not_private_yet(cls, privacy: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if privacy:
            raise ValueError("no engine of this platform trains with differential privacy yet; leave it out")
        return privacy
