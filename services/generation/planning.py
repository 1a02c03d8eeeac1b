"""From a request to a plan: every default filled in, every wrong field named, all of them at once."""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from mirage.optimizer.v1.study_pb2 import CheckedStudy, StartStudyRequest
from servicekit.clients import PeerError
from servicekit.column_types import ColumnRole
from servicekit.errors import InvalidRequest, Violation
from servicekit.form_faults import are_known, conclude
from servicekit.validation import violations_of
from services.generation.engines import ENGINES
from services.generation.engines.catalogue import CheckedModel, check_model
from services.generation.engines.estimate import Estimate, TableShape
from services.generation.engines.protocol import ModelSpec
from services.generation.fakes.kinds import DEFAULT_LOCALE
from services.generation.requests import LARGEST_SEED, JobRequest, OptimizationRequest, RequestLimits
from services.generation.sources import Source, SourceClient
from services.generation.study_client import StudyClient
from services.generation.study_requests import study_request
from services.generation.table_checks import check_columns, check_size, check_values
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.holdout import training_row_count

# What judging takes, measured on one core, and the rows of a table that it takes into account at most.
_JUDGING_S, _JUDGING_A_CELL_S = 0.3, 2e-5
_MOST_JUDGED = 50_000


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
    study: StartStudyRequest | None = None  # the search that comes first
    n_trials: int = 0  # of that search
    notes: tuple[str, ...] = ()  # what is to be known of it

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
        """What the search, if there is one, the training, the drawing of rows and their judging would take."""
        rows = training_row_count(self.source.row_count, self.request.holdout_fraction)
        spec = ModelSpec(self.model.model_type, self.model.parameters, self.seed)
        shape = TableShape.expected(rows, self.column_specs)
        estimate = ENGINES[self.model.engine].estimate(shape, spec, self.sample_size)
        judged = min(max(rows, self.sample_size), _MOST_JUDGED) * len(self.column_specs)
        estimate = replace(estimate, seconds=estimate.seconds + _JUDGING_S + _JUDGING_A_CELL_S * judged)
        rounds = 0 if self.study is None else -(-self.n_trials // max(1, self.study.parallel_trials))
        return replace(estimate, seconds=estimate.seconds * (1 + rounds))

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
    seed: int
    study: StartStudyRequest | None
    checked_study: CheckedStudy

    def plan(self, limits: RequestLimits) -> Plan:
        """The plan, if nothing is wrong.

        Raises:
            InvalidRequest: with every wrong field.
        """
        refused = [_violation_of(self.refusal)] if self.refusal else []
        conclude([*self.violations, *refused])
        if self.source is None or self.model is None:
            raise InvalidRequest(())
        request = self.request
        return Plan(
            request=request,
            source=self.source,
            model=self.model,
            name=request.name or f"{self.source.dataset_name[:180]} {self.model.model_type}",
            column_specs=tuple(_specs_in_force(request, self.source)),
            sample_size=limits.default_sample_size if request.sample_size is None else request.sample_size,
            seed=self.seed,
            study=self.study,
            n_trials=self.checked_study.n_trials,
            notes=tuple(self.checked_study.notes),
        )


class Planner:
    """Checks requests and fills in what they leave open."""

    def __init__(self, sources: SourceClient, limits: RequestLimits, studies: StudyClient | None = None) -> None:
        """Without `studies` nothing can be searched for."""
        self._sources = sources
        self._limits = limits
        self._studies = studies

    async def plan(self, owner_id: UUID, fields: Mapping[str, Any]) -> Plan:
        """The plan for a user's request, given field by field with the types of the contract.

        Raises:
            InvalidRequest: with every wrong field.
            PeerError: what the dataset service says where nothing else is wrong, such as DATASET_NOT_FOUND.
            Unavailable: the dataset service can't be reached.
        """
        draft = await self._draft(owner_id, fields)
        if draft.refusal is not None and not draft.violations and not are_known():
            raise draft.refusal
        return draft.plan(self._limits)

    async def judge(self, owner_id: UUID, fields: Mapping[str, Any]) -> Verdict:
        """What would come of a user's request.

        Raises:
            InvalidRequest: the gateway found faults of form in it; with what else is wrong.
            Unavailable: the dataset service can't be reached.
        """
        draft = await self._draft(owner_id, fields)
        try:
            plan = draft.plan(self._limits)
        except InvalidRequest as error:
            if are_known():
                raise
            return Verdict(plan=None, violations=error.violations, model=draft.model)
        return Verdict(plan=plan, violations=(), model=plan.model)

    async def _draft(self, owner_id: UUID, fields: Mapping[str, Any]) -> _Draft:
        request, violations = self._read(fields)
        source, refusal = await self._find_source(owner_id, request)
        if source is not None:
            specs = tuple(_specs_in_force(request, source))
            violations += [*check_size(request, source), *check_columns(request, source, specs)]
            violations += await check_values(request, source, specs, besides={field for field, _ in violations})
        model = self._check_model(request, source, violations)
        seed = secrets.randbelow(LARGEST_SEED + 1) if request.seed is None else request.seed
        study, checked = None, CheckedStudy()
        if request.optimization.enabled and source is not None:
            study = study_request(request, source.version, seed)
            checked = await self._check_study(owner_id, study, violations)
        return _Draft(request, source, model, violations, refusal, seed, study, checked)

    async def _check_study(self, owner_id: UUID, study: StartStudyRequest, violations: list[Violation]) -> CheckedStudy:
        """What would come of a search; what is wrong with it is added to what is known to be wrong."""
        if self._studies is None:
            fault = "must be false: there is no optimizer to search with (OPTIMIZER_ADDRESS is not set)"
            violations.append(Violation("optimization_config.enabled", fault))
            return CheckedStudy()
        try:
            return await self._studies.check(owner_id, study)
        except PeerError as refusal:
            known = {field for field, _ in violations}
            found = refusal.violations or (Violation("optimization_config", refusal.message),)
            violations += [violation for violation in found if violation.field not in known]
            return CheckedStudy()

    def _read(self, fields: Mapping[str, Any]) -> tuple[JobRequest, list[Violation]]:
        try:
            return JobRequest.model_validate(dict(fields), context=self._limits), []
        except ValidationError as error:
            # The types are the contract's, so what hangs on dataset and model can be checked all the same.
            violations = violations_of(error, JobRequest)
            search = _as_far_as_right(fields.get("optimization_config", {}), {field for field, _ in violations})
            known = {"dataset_id": "", **fields, "optimization_config": search}
            return JobRequest.model_construct(**known), violations

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
            violations += violations_of(error, None)  # of check_model, which has its own words
            return None


def _as_far_as_right(config: Mapping[str, Any], wrong: Collection[str]) -> OptimizationRequest:
    """What is asked of a search, without the fields that are wrong by themselves."""
    names = OptimizationRequest.model_fields.keys() & config.keys()
    right = {
        name for name in names if not any(f"{field}.".startswith(f"optimization_config.{name}.") for field in wrong)
    }
    return OptimizationRequest.model_construct(**{name: config[name] for name in right})


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


def _violation_of(refusal: PeerError) -> Violation:
    field = "dataset_version" if refusal.reason == "DATASET_VERSION_NOT_FOUND" else "dataset_id"
    return Violation(field, refusal.message)


def _in_role(specs: Sequence[ColumnSpec], role: ColumnRole) -> str:
    return next((spec.name for spec in specs if spec.role is role), "")
