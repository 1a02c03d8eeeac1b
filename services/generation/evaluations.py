"""Judging any table against a version of a dataset, on request."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.generation.v1.quality_pb2 import EvaluateTableRequest
from servicekit.column_types import ColumnRole, ColumnType
from servicekit.errors import InvalidRequest, ServiceError, Unavailable, Violation
from servicekit.form_faults import are_known, conclude
from servicekit.ids import parse_id
from servicekit.limits import limited
from servicekit.object_store import ObjectMissing, ObjectStore
from servicekit.patience import patiently
from servicekit.validation import violations_of
from services.generation import jobs, repository
from services.generation.engines.protocol import Failure, Progress
from services.generation.errors import JobNotFound, TableExpired
from services.generation.faults import EvaluationFailed
from services.generation.models import Job
from services.generation.quality.report import QualityReport
from services.generation.requests import LARGEST_SEED
from services.generation.slots import Slots
from services.generation.sources import Source, SourceChanged, SourceClient, fetch_table
from services.generation.table_checks import invented
from services.generation.tables.columns import ColumnSpec
from services.generation.training.runner import TrainingRunner
from services.generation.training.spec import EvaluationSpec, Split

FoundT = TypeVar("FoundT")


class EvaluationRequest(BaseModel):
    """What a user wants judged, as far as it can be checked without the tables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_id: Annotated[str, limited(EvaluateTableRequest, "dataset_id")]
    dataset_version: int = Field(0, ge=0)
    table_dataset_id: str = ""
    table_dataset_version: int = Field(0, ge=0)
    job_id: str = ""
    holdout_dataset_id: str = ""
    holdout_dataset_version: int = Field(0, ge=0)
    target_column: str = ""
    sensitive_columns: Annotated[tuple[str, ...], limited(EvaluateTableRequest, "sensitive_columns")] = ()
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """The table to judge: a dataset's, or a job's."""

    source: Source | None
    job: Job | None

    @property
    def columns(self) -> frozenset[str]:
        """The names of its columns."""
        if self.source is not None:
            return frozenset(column.name for column in self.source.columns)
        return frozenset(spec["name"] for spec in self.job.column_specs) if self.job else frozenset()


@dataclass(frozen=True)
class EvaluationPlan:
    """Tables to compare; nothing is left open."""

    request: EvaluationRequest
    real: Source
    made: Made
    holdout: Source | None
    columns: tuple[ColumnSpec, ...]


class _Search:
    """Looks for what a request names, and remembers what can't be had."""

    def __init__(self) -> None:
        self._refusals: dict[str, ServiceError] = {}

    async def find(self, field: str, wanted: str, finding: Callable[[], Awaitable[FoundT]]) -> FoundT | None:
        """What a field names; None if it names nothing, or what can't be had.

        Raises:
            Unavailable: nobody knows just now.
        """
        if not wanted:
            return None
        try:
            return await finding()
        except Unavailable:
            raise
        except ServiceError as refusal:
            self._refusals[field] = refusal
            return None

    def conclude(self, violations: list[Violation]) -> None:
        """Raises what is wrong, everything at once; one thing that can't be had, alone, as it is."""
        if len(self._refusals) == 1 and not violations and not are_known():
            raise next(iter(self._refusals.values()))
        conclude([*violations, *(Violation(field, refusal.message) for field, refusal in self._refusals.items())])


class Evaluator:
    """Judges tables; so many at once as the machine has slots."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        sources: SourceClient,
        store: ObjectStore,
        runner: TrainingRunner,
        slots: Slots,
        *,
        time_limit_s: float,
        memory_limit_mb: int | None,
    ) -> None:
        self._sessions = sessions
        self._sources = sources
        self._store = store
        self._runner = runner
        self._slots = slots
        self._time_limit_s = time_limit_s
        self._memory_limit_mb = memory_limit_mb

    async def plan(self, owner_id: UUID, fields: Mapping[str, Any]) -> EvaluationPlan:
        """The plan for a user's request, given field by field with the types of the contract.

        Raises:
            InvalidRequest: with every wrong field.
            ServiceError: where nothing else is wrong, why one of the tables can't be had: DATASET_NOT_FOUND,
                JOB_NOT_FOUND, TABLE_NOT_READY and the like.
        """
        request, violations = _read(fields)
        search = _Search()
        real, table, holdout = [
            await search.find(field, wanted, partial(self._sources.get, wanted, version, owner_id))
            for field, wanted, version in (
                ("dataset_id", request.dataset_id, request.dataset_version),
                ("table_dataset_id", request.table_dataset_id, request.table_dataset_version),
                ("holdout_dataset_id", request.holdout_dataset_id, request.holdout_dataset_version),
            )
        ]
        job = await search.find("job_id", request.job_id, partial(self._job, owner_id, request.job_id))
        made = Made(table, job) if table is not None or job is not None else None
        if real is not None:
            violations += _check(request, real, made, holdout)
        search.conclude(violations)
        if real is None or made is None:
            raise InvalidRequest(violations)
        columns = tuple(spec for spec in real.columns if not request.columns or spec.name in request.columns)
        return EvaluationPlan(request, real, made, holdout, columns)

    async def evaluate(self, plan: EvaluationPlan) -> QualityReport:
        """Judges a table in a child process, which ends when the caller goes away.

        Raises:
            SamplersBusy: every slot is taken.
            EvaluationFailed: the tables can't be compared, or it took too much time or memory.
            TableExpired: the job's table was deleted meanwhile.
        """
        with self._slots.one(), tempfile.TemporaryDirectory(prefix="mirage-evaluate-") as directory:
            spec = await self._spec(plan, Path(directory))
            try:
                await self._runner.evaluate(spec, _unheard)
            except Failure as failure:
                raise EvaluationFailed(failure) from failure
            document = await asyncio.to_thread(spec.output.read_bytes)
        return await asyncio.to_thread(QualityReport.model_validate_json, document)

    async def _job(self, owner_id: UUID, job_id: str) -> Job:
        async with self._sessions() as session:
            return jobs.with_table(await repository.find_job(session, owner_id, parse_id(job_id, JobNotFound)))

    async def _spec(self, plan: EvaluationPlan, directory: Path) -> EvaluationSpec:
        """What the child process is asked for, with the tables in place."""
        request, job = plan.request, plan.made.job
        training, synthetic, holdout = (directory / f"{name}.parquet" for name in ("training", "synthetic", "holdout"))
        await _fetch(plan.real, training)
        if plan.made.source is not None:
            await _fetch(plan.made.source, synthetic)
        elif job is not None:
            try:
                await self._store.get_file(job.table_key or "", synthetic)
            except ObjectMissing:
                raise TableExpired(job.id) from None
        if plan.holdout is not None:
            await _fetch(plan.holdout, holdout)
        learned = job if job is not None and job.source_sha256 == plan.real.table_sha256 else None
        return EvaluationSpec(
            output=directory / "quality.json",
            training=training,
            synthetic=synthetic,
            holdout=holdout if plan.holdout is not None else None,
            split=split_of(learned) if learned else None,
            columns=plan.columns,
            conditions=learned.conditions if learned else {},
            notes=_about_conditions(job) if job is not None and learned is None else (),
            target=request.target_column,
            sensitive=request.sensitive_columns,
            seed=request.seed,
            time_limit_s=self._time_limit_s,
            memory_limit_mb=self._memory_limit_mb,
        )


def split_of(job: Job) -> Split:
    """Which rows of its dataset a job has never seen."""
    columns = tuple(ColumnSpec.model_validate(spec) for spec in job.column_specs)
    return Split(fraction=job.holdout_fraction, seed=job.seed, columns=columns)


def _about_conditions(job: Job) -> tuple[str, ...]:
    """What is to be known of a job's table that is held against rows which the job hasn't learned."""
    if not job.conditions:
        return ()
    names = ", ".join(sorted(job.conditions))
    note = (
        f"The rows were made under conditions on {names}, from another table than this one: they are compared with all "
        "of its rows, whether these meet the conditions or not."
    )
    return (note,)


def _read(fields: Mapping[str, Any]) -> tuple[EvaluationRequest, list[Violation]]:
    """A request, and what is wrong with it as far as the tables needn't be known for that."""
    violations: list[Violation] = []
    try:
        request = EvaluationRequest.model_validate(dict(fields))
    except ValidationError as error:
        violations += violations_of(error, EvaluationRequest)
        request = EvaluationRequest.model_construct(**{"dataset_id": "", **fields})
    if bool(request.table_dataset_id) == bool(request.job_id):
        wanted = "one of table_dataset_id and job_id says which table to judge"
        fault = f"{wanted}: both are given" if request.job_id else f"must be given, or job_id: {wanted}"
        violations.append(Violation("table_dataset_id", fault))
    return request, violations


def _check(request: EvaluationRequest, real: Source, made: Made | None, holdout: Source | None) -> list[Violation]:
    """What is wrong with the columns that a request names, and with the tables together."""
    specs = {spec.name: spec for spec in real.columns}
    violations = []
    for index, name in enumerate(request.columns):
        twice = f"names {name!r} a second time" if name in request.columns[:index] else ""
        if fault := _fault_of_column(name, specs, made) or twice:
            violations.append(Violation(f"columns.{index}", fault))
    wanted = {f"sensitive_columns.{index}": name for index, name in enumerate(request.sensitive_columns)}
    if request.target_column:
        wanted["target_column"] = request.target_column
    for field, name in wanted.items():
        fault = _fault_of_column(name, specs, made) or _fault_of_use(specs[name])
        if not fault and request.columns and name not in request.columns:
            fault = f"{name!r} is not among the columns to compare"
        if fault:
            violations.append(Violation(field, fault))
    if made is not None and not made.columns & set(specs):
        field = "job_id" if made.job else "table_dataset_id"
        violations.append(Violation(field, "names a table without any of the dataset's columns"))
    if holdout is not None and holdout.table_sha256 == real.table_sha256:
        violations.append(Violation("holdout_dataset_id", "names the real table itself, whose rows aren't unseen"))
    return violations


def _fault_of_column(name: str, specs: Mapping[str, ColumnSpec], made: Made | None) -> str:
    if name not in specs:
        return f"the dataset has no column {name!r}"
    if made is not None and name not in made.columns:
        return f"the table to judge has no column {name!r}"
    return ""


def _fault_of_use(spec: ColumnSpec) -> str:
    """Why nobody could predict a column from others."""
    if spec.personal_data is not None:
        return invented(spec.name, spec.personal_data)
    if spec.role is ColumnRole.PRIMARY_KEY or spec.type in {ColumnType.IDENTIFIER, ColumnType.TEXT}:
        return f"{spec.name!r} holds identifiers or free text, which nothing predicts"
    return ""


async def _fetch(source: Source, path: Path) -> None:
    """Fetches a table.

    Raises:
        Unavailable: it can't be had just now, or isn't the one that was announced.
    """
    try:
        await patiently(lambda: fetch_table(source, path), Unavailable)
    except SourceChanged as error:
        raise Unavailable("dataset's table") from error


async def _unheard(_progress: Progress) -> None:
    """Nobody follows the judging of a table on request."""
