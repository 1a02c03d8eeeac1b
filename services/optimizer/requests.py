"""What users ask for, as far as it can be judged without the table and the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationInfo, field_validator

from mirage.optimizer.v1.study_pb2 import StartStudyRequest
from servicekit.limits import fault, limited

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class RequestLimits:
    """What the deployment allows."""

    default_trials: int
    maximum_trials: int
    maximum_parallel_trials: int
    maximum_seconds: float

    @property
    def settings(self) -> dict[str, float]:
        """The values of the settings that limits of a request's fields name."""
        return {"MAX_OPTIMIZATION_TRIALS": self.maximum_trials, "MAX_PARALLEL_TRIALS": self.maximum_parallel_trials}


class StudyRequest(BaseModel):
    """What a user asks for; the space, the metrics and the caps are judged with the table at hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_id: Annotated[str, limited(StartStudyRequest, "dataset_id")]
    dataset_version: int = Field(0, ge=0)
    model_type: str = Field("", validate_default=True)
    engine: str = ""
    optimization_method: str = "bayesian"
    n_trials: int | None = None
    optimization_metric: str = "quality_score"
    search_space: dict[str, JsonValue] = Field(default_factory=dict)
    acquisition_function: str = "EI"
    random_state: int | None = Field(None, ge=0, le=LARGEST_SEED)
    parallel_trials: int = 1
    timeout_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    patience: Annotated[int | None, limited(StartStudyRequest, "patience")] = None
    caps: dict[str, JsonValue] = Field(default_factory=dict)
    objectives: tuple[str, ...] = ()
    target_column: str = ""
    model: dict[str, JsonValue] = Field(default_factory=dict, alias="model_config")
    columns: tuple[str, ...] = ()
    holdout_fraction: Annotated[float, limited(StartStudyRequest, "holdout_fraction")] = 0.1
    name: Annotated[str, StringConstraints(strip_whitespace=True), limited(StartStudyRequest, "name")] = ""

    @field_validator("model_type")
    @classmethod
    def _required(cls, model_type: str) -> str:
        if not model_type:
            raise ValueError("is required, such as ctgan")
        return model_type

    @field_validator("model")
    @classmethod
    def _one_model_type(cls, model: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if "model_type" in model:
            raise ValueError("names another model_type than the study; name it once")
        return model

    @field_validator("n_trials", "parallel_trials")
    @classmethod
    def _within_limits(cls, trials: int | None, info: ValidationInfo) -> int | None:
        field = StartStudyRequest.DESCRIPTOR.fields_by_name[str(info.field_name)]
        if trials is not None and (wrong := fault(field, trials, _limits(info).settings)):
            raise ValueError(wrong)
        return trials

    @field_validator("timeout_seconds")
    @classmethod
    def _allowed_time(cls, seconds: float | None, info: ValidationInfo) -> float | None:
        most = _limits(info).maximum_seconds
        if seconds is not None and seconds > most:
            raise ValueError(f"must be at most {most:g}")
        return seconds

    @field_validator("target_column")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("must be one line of printable characters")
        return text.strip()


def with_one_model_type(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same request where the model's type may also be named in `model_config`, as a job names it."""
    model = fields.get("model_config")
    named = model.get("model_type") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(named, str) or fields.get("model_type", named) != named:
        return dict(fields)
    rest = {name: value for name, value in model.items() if name != "model_type"}
    return {**fields, "model_type": named, "model_config": rest}


def _limits(info: ValidationInfo) -> RequestLimits:
    if not isinstance(info.context, RequestLimits):
        raise TypeError("what a user asks for is judged by the deployment's limits")
    return info.context
