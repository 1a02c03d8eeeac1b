"""From a request to a plan: every default filled in, every wrong field named, all of them at once."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, ValidationInfo, field_validator

from servicekit.clients import PeerError
from servicekit.column_types import ColumnRole, ColumnType
from servicekit.errors import InvalidRequest, Violation
from servicekit.validation import violations_of
from services.generation.engines import ENGINES
from services.generation.engines.catalogue import CheckedModel, check_model
from services.generation.engines.estimate import Estimate, TableShape
from services.generation.engines.parameters import Limits
from services.generation.engines.protocol import ModelSpec
from services.generation.fakes.kinds import DEFAULT_LOCALE
from services.generation.sources import Source, SourceClient
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.holdout import training_row_count
from services.generation.tables.prepare import LEAST_ROWS

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
            raise ValueError(f"must be {self.minimum_sample_size} to {self.maximum_sample_size}")


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


@dataclass(frozen=True)
class Plan:
    """A job as it will be: nothing is left open."""

    request: JobRequest
    source: Source
    model: CheckedModel
    name: str
    column_specs: tuple[ColumnSpec, ...]
    sample_size: int
    seed: int

    @property
    def personal_data(self) -> list[dict[str, Any]]:
        """The columns of personal data, each with its kind and locale: US English where nobody knows."""
        return [
            {
                "column": spec.name,
                "kind": spec.personal_data.value,
                "locale": spec.personal_data_locale or DEFAULT_LOCALE,
            }
            for spec in self.column_specs
            if spec.personal_data is not None
        ]

    @property
    def epochs(self) -> int:
        """Epochs to do; 0 for a model without epochs."""
        epochs = self.model.parameters.get("epochs", 0)
        return epochs if isinstance(epochs, int) else 0

    @property
    def estimate(self) -> Estimate:
        """What the training and the drawing of rows would take."""
        rows = training_row_count(self.source.row_count, self.request.holdout_fraction)
        spec = ModelSpec(self.model.model_type, self.model.parameters, self.seed)
        return ENGINES[self.model.engine].estimate(TableShape.expected(rows, self.column_specs), spec, self.sample_size)

    @property
    def primary_key(self) -> str:
        """The column whose values are unique; empty if none."""
        return _in_role(self.column_specs, ColumnRole.PRIMARY_KEY)

    @property
    def target_column(self) -> str:
        """The column that a model would predict; empty if none."""
        return _in_role(self.column_specs, ColumnRole.TARGET)


@dataclass(frozen=True)
class Verdict:
    """What would come of a request: a plan, or what is wrong; the model as far as that is right."""

    plan: Plan | None
    violations: tuple[Violation, ...]
    model: CheckedModel | None


@dataclass(frozen=True)
class _Draft:
    """A request half checked."""

    request: JobRequest
    source: Source | None
    model: CheckedModel | None
    violations: list[Violation]
    refusal: PeerError | None  # what the dataset service said instead of giving the source

    def plan(self, limits: RequestLimits) -> Plan:
        """The plan, if nothing is wrong.

        Raises:
            InvalidRequest: with every wrong field.
        """
        refused = [Violation("dataset_id", self.refusal.message)] if self.refusal else []
        if self.violations or refused or self.source is None or self.model is None:
            raise InvalidRequest([*self.violations, *refused])
        request = self.request
        return Plan(
            request=request,
            source=self.source,
            model=self.model,
            name=request.name or f"{self.source.dataset_name[:180]} {self.model.model_type}",
            column_specs=tuple(_specs_in_force(request, self.source)),
            sample_size=limits.default_sample_size if request.sample_size is None else request.sample_size,
            seed=secrets.randbelow(LARGEST_SEED + 1) if request.seed is None else request.seed,
        )


class Planner:
    """Checks requests and fills in what they leave open."""

    def __init__(self, sources: SourceClient, limits: RequestLimits) -> None:
        self._sources = sources
        self._limits = limits

    async def plan(self, owner_id: UUID, fields: Mapping[str, Any]) -> Plan:
        """The plan for a user's request, given field by field with the types of the contract.

        Raises:
            InvalidRequest: with every wrong field.
            PeerError: what the dataset service says where nothing else is wrong, such as DATASET_NOT_FOUND.
            Unavailable: the dataset service can't be reached.
        """
        draft = await self._draft(owner_id, fields)
        if draft.refusal is not None and not draft.violations:
            raise draft.refusal
        return draft.plan(self._limits)

    async def judge(self, owner_id: UUID, fields: Mapping[str, Any]) -> Verdict:
        """What would come of a user's request.

        Raises:
            Unavailable: the dataset service can't be reached.
        """
        draft = await self._draft(owner_id, fields)
        try:
            plan = draft.plan(self._limits)
        except InvalidRequest as error:
            return Verdict(plan=None, violations=error.violations, model=draft.model)
        return Verdict(plan=plan, violations=(), model=plan.model)

    async def _draft(self, owner_id: UUID, fields: Mapping[str, Any]) -> _Draft:
        request, violations = self._read(fields)
        source, refusal = await self._find_source(owner_id, request)
        if source is not None:
            violations += [*_check_size(request, source), *_check_columns(request, source)]
        model = self._check_model(request, source, violations)
        return _Draft(request, source, model, violations, refusal)

    def _read(self, fields: Mapping[str, Any]) -> tuple[JobRequest, list[Violation]]:
        try:
            return JobRequest.model_validate(dict(fields), context=self._limits), []
        except ValidationError as error:
            # The types are the contract's, so what hangs on dataset and model can be checked all the same.
            return JobRequest.model_construct(**{"dataset_id": "", **fields}), violations_of(error)

    async def _find_source(self, owner_id: UUID, request: JobRequest) -> tuple[Source | None, PeerError | None]:
        if not request.dataset_id:
            return None, None
        try:
            return await self._sources.get(request.dataset_id, request.dataset_version, owner_id), None
        except PeerError as refusal:
            return None, refusal

    def _check_model(
        self, request: JobRequest, source: Source | None, violations: list[Violation]
    ) -> CheckedModel | None:
        rows = None if source is None else training_row_count(source.row_count, request.holdout_fraction)
        try:
            return check_model(request.model, engine=request.engine, rows=rows, limits=self._limits.epochs)
        except ValidationError as error:
            violations += violations_of(error)
            return None


def _check_size(request: JobRequest, source: Source) -> Iterator[Violation]:
    """Whether there is enough to learn from."""
    rows = training_row_count(source.row_count, request.holdout_fraction)
    if rows < LEAST_ROWS:
        yield Violation("dataset_id", f"names a dataset with {rows} rows to train on; at least {LEAST_ROWS} are needed")


def _check_columns(request: JobRequest, source: Source) -> Iterator[Violation]:
    """What is wrong with the columns that a request names."""
    types = {spec.name: spec.type for spec in source.columns}
    personal = {spec.name: spec.personal_data for spec in source.columns if spec.personal_data is not None}
    for index, name in enumerate(request.columns):
        if name not in types:
            yield Violation(f"columns.{index}", _unknown(name))
        elif name in request.columns[:index]:
            yield Violation(f"columns.{index}", f"names {name!r} a second time")
    learned = {name: types[name] for name in request.columns or types if name in types}
    yield from _check_roles(request, types, learned)
    if request.target_column in personal:
        yield Violation("target_column", invented(request.target_column, personal[request.target_column]))
    for name, value in request.conditions.items():
        if name not in learned:
            yield Violation(f"conditions.{name}", _not_learned(name) if name in types else _unknown(name))
        elif name in personal:
            yield Violation(f"conditions.{name}", invented(name, personal[name]))
        elif not _suits(learned[name], value):
            yield Violation(f"conditions.{name}", f"must be a value for a column of type {learned[name].value}")


def _check_roles(
    request: JobRequest, types: Mapping[str, ColumnType], learned: Mapping[str, ColumnType]
) -> Iterator[Violation]:
    for field, name in (("primary_key", request.primary_key), ("target_column", request.target_column)):
        if name and name not in learned:
            yield Violation(field, _not_learned(name) if name in types else _unknown(name))
    if request.primary_key and request.primary_key == request.target_column:
        yield Violation("target_column", "is the primary key, which nothing predicts")


def _unknown(name: str) -> str:
    return f"the dataset has no column {name!r}"


def _not_learned(name: str) -> str:
    return f"{name!r} is not among the columns to learn"


def invented(name: str, kind: str) -> str:
    """Why nothing can be asked of a column of personal data."""
    return f"{name!r} holds personal data ({kind}), which is never learned: its values are invented"


def _suits(column_type: ColumnType, value: JsonValue) -> bool:
    """Whether a value could stand in a column; whether it does only training can tell."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if column_type in {ColumnType.INTEGER, ColumnType.FLOAT}:
        return is_number
    if column_type is ColumnType.BOOLEAN:
        return isinstance(value, bool)
    if column_type is ColumnType.CATEGORICAL:  # of whatever the source has: strings, numbers, booleans
        return isinstance(value, str | int | float)
    return isinstance(value, str)


def _specs_in_force(request: JobRequest, source: Source) -> Iterator[ColumnSpec]:
    """The columns to learn, in the dataset's order; a role given in the request replaces the dataset's."""
    given = {ColumnRole.PRIMARY_KEY: request.primary_key, ColumnRole.TARGET: request.target_column}
    for spec in source.columns:
        if request.columns and spec.name not in request.columns:
            continue
        role = spec.role
        if given.get(role) or (role is ColumnRole.TARGET and spec.personal_data is not None):
            role = ColumnRole.FEATURE
        for given_role, name in given.items():
            if spec.name == name:
                role = given_role
        yield spec.model_copy(update={"role": role})


def _in_role(specs: Sequence[ColumnSpec], role: ColumnRole) -> str:
    return next((spec.name for spec in specs if spec.role is role), "")
